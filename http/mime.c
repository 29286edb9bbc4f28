// SPDX-License-Identifier: Apache-2.0
#include "http/mime.h"

#include <stddef.h>
#include <string.h>

#include "http/ascii.h"

typedef struct mime_row {
    const char *extension;
    const char *type;
} mime_row;

// In the order in which they are likely; IANA's registry, and for the rest what browsers expect.
static const mime_row rows[] = {
    {"html", "text/html; charset=utf-8"},
    {"css", "text/css; charset=utf-8"},
    {"js", "text/javascript; charset=utf-8"},
    {"mjs", "text/javascript; charset=utf-8"},
    {"json", "application/json"},
    {"svg", "image/svg+xml"},
    {"png", "image/png"},
    {"jpg", "image/jpeg"},
    {"jpeg", "image/jpeg"},
    {"webp", "image/webp"},
    {"avif", "image/avif"},
    {"gif", "image/gif"},
    {"ico", "image/vnd.microsoft.icon"},
    {"woff2", "font/woff2"},
    {"woff", "font/woff"},
    {"ttf", "font/ttf"},
    {"otf", "font/otf"},
    {"txt", "text/plain; charset=utf-8"},
    {"htm", "text/html; charset=utf-8"},
    {"md", "text/markdown; charset=utf-8"},
    {"csv", "text/csv; charset=utf-8"},
    {"xml", "application/xml"},
    {"pdf", "application/pdf"},
    {"wasm", "application/wasm"},
    {"map", "application/json"},
    {"webmanifest", "application/manifest+json"},
    {"mp4", "video/mp4"},
    {"webm", "video/webm"},
    {"mp3", "audio/mpeg"},
    {"ogg", "audio/ogg"},
    {"wav", "audio/wav"},
    {"flac", "audio/flac"},
    {"zip", "application/zip"},
    {"gz", "application/gzip"},
    {"tar", "application/x-tar"},
    {"ics", "text/calendar; charset=utf-8"},
    {"bmp", "image/bmp"},
    {"tiff", "image/tiff"},
};

const char *http_mime_type(const char *path) {
    const char *slash = strrchr(path, '/');
    const char *name = slash != NULL ? slash + 1 : path;
    const char *dot = strrchr(name, '.');
    size_t bytes = dot != NULL && dot != name ? strlen(dot + 1) : 0;
    for (size_t i = 0; bytes > 0 && i < sizeof rows / sizeof rows[0]; i++) {
        if (strlen(rows[i].extension) == bytes && ascii_equal(dot + 1, rows[i].extension, bytes))
            return rows[i].type;
    }
    return "application/octet-stream";
}
