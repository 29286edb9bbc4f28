// SPDX-License-Identifier: Apache-2.0
//
// Content types by file name.

#ifndef TINA_HTTP_MIME_H
#define TINA_HTTP_MIME_H

#ifdef __cplusplus
extern "C" {
#endif

// http_mime_type returns the content type for a file's name by what follows its last dot, without
// regard to case; "application/octet-stream" when that is not known. Static.
const char *http_mime_type(const char *path);

#ifdef __cplusplus
}
#endif

#endif
