// SPDX-License-Identifier: Apache-2.0
//
// A file as a response: which one, under what conditions, which parts of it. Nothing here does I/O:
// the connection opens, asks and sends as `state` says, and tells what came of it.
//
//     OPEN ──▶ STAT ──▶ SEND ──▶ CLOSE ──▶ NONE
//      │ ▲      │        (out, then `left` bytes from `offset`, for each part)
//      ▼ │      └─ nothing to send ─▶ CLOSE
//      the next name to try; NONE when there is none

#ifndef TINA_HTTP_FILE_H
#define TINA_HTTP_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include "http/range.h"
#include "http/response.h"
#include "reactor/io.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum http_file_state {
    HTTP_FILE_NONE = 0,
    HTTP_FILE_OPEN, // path
    HTTP_FILE_STAT, // fd is open until CLOSE has been done
    HTTP_FILE_SEND,
    HTTP_FILE_CLOSE,
} http_file_state;

typedef struct http_file_response {
    char *path; // in the response's memory until STAT has been done
    uint32_t path_bytes;
    uint8_t state;   // http_file_state
    uint8_t variant; // of codings in file.c, behind the last: as it is
    bool negotiated; // other variants may be sent to other clients
    bool directory;  // path came from a directory's route
    uint8_t range_count;
    uint8_t range_next;
    tina_fd fd;
    tina_file_stat stat;
    const char *type;
    uint64_t offset;
    uint64_t left;
    http_range ranges[HTTP_RANGES_MAX];
} http_file_response;

// http_file_opened says what came of OPEN; the response is complete when state is NONE.
void http_file_opened(http_file_response *file, http_response *response, int32_t result,
                      tina_fd fd);

// http_file_known says what came of STAT, and begins the response.
void http_file_known(http_file_response *file, http_response *response, int32_t result);

// http_file_sent says that `left` is 0; the next part, if there is one, begins.
void http_file_sent(http_file_response *file, http_response *response);

// http_directory_answer is the handler of a route that has a directory.
http_step http_directory_answer(http_request *request, http_response *response);

#ifdef __cplusplus
}
#endif

#endif
