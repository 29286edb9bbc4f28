// SPDX-License-Identifier: Apache-2.0
#include "http/file.h"

#include <errno.h>
#include <string.h>

#include "core/assert.h"
#include "core/format.h"
#include "http/condition.h"
#include "http/exchange.h"
#include "http/method.h"
#include "http/mime.h"

#define SECOND_NS  UINT64_C(1000000000)
#define ETAG_BYTES 40u // of two 64-bit numbers in hexadecimal, quotes, a dash and a NUL

// Content codings that a file may lie there in, the one that is preferred first.
static const struct coding {
    const char *name;
    const char *suffix;
} codings[] = {{"br", ".br"}, {"zstd", ".zst"}, {"gzip", ".gz"}};

#define CODING_COUNT     3u
#define SUFFIX_BYTES_MAX 4u
#define INDEX            "index.html"

static void variant_choose(http_file_response *file, const http_head *head);
static int open_status(int32_t result);
static void directory_redirect(http_response *response);
static void found_answer(http_file_response *file, http_response *response);
static void fields_add(const http_file_response *file, http_response *response, const char *etag,
                       uint64_t modified_s);
static int ranges_choose(http_file_response *file, const http_response *response,
                         const http_validators *validators);
static void whole_begin(http_file_response *file, http_response *response);
static void range_begin(http_file_response *file, http_response *response);
static void parts_begin(http_file_response *file, http_response *response);
static uint32_t part_write(const http_file_response *file, uint32_t index, char *out, size_t bytes);
static void part_begin(http_file_response *file, http_response *response);
static void body_begin(http_file_response *file, http_response *response, int status,
                       const char *type, uint64_t bytes);
static void status_answer(http_file_response *file, http_response *response, int status);

http_step http_file(http_response *response, const char *path) {
    size_t bytes = strlen(path);
    size_t taken = HTTP_RESPONSE_ROOM_BYTES + response->fields_bytes + SUFFIX_BYTES_MAX + 1;
    TINA_ASSERT(!response->answered); // a handler answers once
    response->answered = true;
    response->complete = true;
    if (bytes == 0 || bytes + SUFFIX_BYTES_MAX > TINA_PATH_BYTES_MAX ||
        taken + bytes > response->capacity)
        return http_response_fault(response, "its file's path is empty, or too long");
    http_file_response *file = response->file;
    uint8_t *end = response->out + response->capacity;
    *file = (http_file_response){.path = (char *)end - bytes - SUFFIX_BYTES_MAX - 1,
                                 .path_bytes = (uint32_t)bytes,
                                 .state = HTTP_FILE_OPEN,
                                 .type = http_mime_type(path)};
    memcpy(file->path, path, bytes);
    const http_request *request = response->request;
    file->negotiated = request->match.route != NULL && request->match.route->precompressed;
    file->variant = file->negotiated ? 0 : CODING_COUNT;
    variant_choose(file, request->head);
    return (http_step){HTTP_STEP_FILE};
}

// The router has seen to it that the rest of the path has no dot segments, encoded slashes or
// empty segments.
http_step http_directory_answer(http_request *request, http_response *response) {
    const http_route *route = request->match.route;
    TINA_ASSERT(request->match.param_count > 0);
    http_span rest = request->match.params[request->match.param_count - 1];
    size_t directory_bytes = strlen(route->directory);
    char *path = http_scratch(request, directory_bytes + 1 + rest.bytes + sizeof INDEX);
    if (path == NULL)
        return http_respond_status(response, 414, 0);
    memcpy(path, route->directory, directory_bytes);
    char *at = path + directory_bytes;
    *at++ = '/';
    at += http_percent_decode(rest.text, rest.bytes, at);
    if (at[-1] == '/')
        memcpy(at, INDEX, sizeof INDEX);
    else
        *at = '\0';
    if (strlen(path) + SUFFIX_BYTES_MAX > TINA_PATH_BYTES_MAX)
        return http_respond_status(response, 404, 0);
    http_step step = http_file(response, path);
    response->file->directory = true;
    return step;
}

// Puts the suffix of the next variant that the client takes behind the path.
static void variant_choose(http_file_response *file, const http_head *head) {
    while (file->variant < CODING_COUNT && !http_accepts_coding(head, codings[file->variant].name))
        file->variant++;
    const char *suffix = file->variant < CODING_COUNT ? codings[file->variant].suffix : "";
    memcpy(file->path + file->path_bytes, suffix, strlen(suffix) + 1);
}

void http_file_opened(http_file_response *file, http_response *response, int32_t result,
                      tina_fd fd) {
    TINA_ASSERT(file->state == HTTP_FILE_OPEN);
    if (result >= 0) {
        file->fd = fd;
        file->state = HTTP_FILE_STAT;
        return;
    }
    if (file->variant < CODING_COUNT) {
        file->variant++;
        variant_choose(file, response->request->head);
        return;
    }
    file->state = HTTP_FILE_NONE;
    status_answer(file, response, open_status(result));
}

// What cannot be opened for good reasons is not there; a link that leads outside among it.
static int open_status(int32_t result) {
    switch (result) {
    case -ENOENT:
    case -ENOTDIR:
    case -ENAMETOOLONG:
    case -ELOOP:
    case -ENXIO:
        return 404;
    case -EACCES:
    case -EPERM:
        return 403;
    case -EMFILE:
    case -ENFILE:
    case -ENOMEM:
    case TINA_IO_FDS_FULL:
        return 503;
    default:
        return 500;
    }
}

void http_file_known(http_file_response *file, http_response *response, int32_t result) {
    TINA_ASSERT(file->state == HTTP_FILE_STAT);
    file->state = HTTP_FILE_CLOSE;
    response->answered = false; // but promised, until here
    if (result < 0)
        status_answer(file, response, 500);
    else if (file->stat.kind == TINA_FILE_REGULAR)
        found_answer(file, response);
    else if (file->stat.kind == TINA_FILE_DIRECTORY && file->directory)
        directory_redirect(response);
    else
        status_answer(file, response, 404);
}

// Relative links in a directory's page need the slash at its end.
static void directory_redirect(http_response *response) {
    const http_head *head = response->request->head;
    char *location =
        http_scratch(response->request, (size_t)head->path_bytes + head->query_bytes + 3);
    if (location == NULL) {
        http_respond_status(response, 414, 0);
        return;
    }
    memcpy(location, head->path, head->path_bytes);
    char *at = location + head->path_bytes;
    *at++ = '/';
    if (head->query != NULL) {
        *at++ = '?';
        memcpy(at, head->query, head->query_bytes);
        at += head->query_bytes;
    }
    *at = '\0';
    http_redirect(response, 301, location);
}

static void found_answer(http_file_response *file, http_response *response) {
    const http_head *head = response->request->head;
    uint64_t modified_s = file->stat.modified_ns / SECOND_NS;
    if (modified_s > response->wall_s)
        modified_s = response->wall_s; // RFC 9110 §8.8.2.1
    char etag[ETAG_BYTES];
    tina_format(etag, sizeof etag, "\"%llx-%llx\"", (unsigned long long)file->stat.modified_ns,
                (unsigned long long)file->stat.bytes);
    http_validators validators = {etag, modified_s, response->wall_s};
    int status = http_condition(head, &validators);
    if (status == 412) {
        status_answer(file, response, 412);
        return;
    }
    fields_add(file, response, etag, modified_s);
    if (status == 0)
        status = ranges_choose(file, response, &validators);
    switch (status) {
    case 200:
        whole_begin(file, response);
        break;
    case 206:
        if (file->range_count == 1)
            range_begin(file, response);
        else
            parts_begin(file, response);
        break;
    case 304:
        http_empty(response, 304);
        break;
    default:
        TINA_ASSERT(status == 416);
        status_answer(file, response, 416);
    }
}

static void fields_add(const http_file_response *file, http_response *response, const char *etag,
                       uint64_t modified_s) {
    char date[HTTP_DATE_BYTES + 1];
    http_date_write(date, modified_s);
    http_set_header(response, "ETag", etag);
    http_set_header(response, "Last-Modified", date);
    http_set_header(response, "Accept-Ranges", "bytes");
    if (file->negotiated)
        http_set_header(response, "Vary", "Accept-Encoding");
    if (file->variant < CODING_COUNT)
        http_set_header(response, "Content-Encoding", codings[file->variant].name);
}

// Ranges are GET's alone (RFC 9110 §14.2).
static int ranges_choose(http_file_response *file, const http_response *response,
                         const http_validators *validators) {
    const http_request *request = response->request;
    const char *value = http_header(request, "range");
    if (value == NULL || request->head->method != HTTP_GET ||
        !http_range_applies(request->head, validators))
        return 200;
    uint32_t count;
    http_ranges_result result = http_ranges_read(value, file->stat.bytes, file->ranges, &count);
    file->range_count = (uint8_t)count;
    return result == HTTP_RANGES_OK ? 206 : result == HTTP_RANGES_BEYOND ? 416 : 200;
}

static void whole_begin(http_file_response *file, http_response *response) {
    file->range_count = 0;
    body_begin(file, response, 200, file->type, file->stat.bytes);
    file->offset = 0;
    file->left = file->stat.bytes;
}

static void range_begin(http_file_response *file, http_response *response) {
    http_range range = file->ranges[0];
    char text[80];
    tina_format(text, sizeof text, "bytes %llu-%llu/%llu", (unsigned long long)range.first,
                (unsigned long long)range.last, (unsigned long long)file->stat.bytes);
    http_set_header(response, "Content-Range", text);
    file->range_count = 0;
    file->offset = range.first;
    file->left = range.last - range.first + 1;
    body_begin(file, response, 206, file->type, file->left);
}

// multipart/byteranges, RFC 9110 §14.6. Whether its boundary is in the file too is not looked for:
// it says when the file was changed, to the nanosecond.
static void parts_begin(http_file_response *file, http_response *response) {
    char line[256];
    char type[80];
    uint64_t bytes = part_write(file, file->range_count, line, sizeof line);
    for (uint32_t i = 0; i < file->range_count; i++) {
        bytes += part_write(file, i, line, sizeof line);
        bytes += file->ranges[i].last - file->ranges[i].first + 1;
    }
    tina_format(type, sizeof type, "multipart/byteranges; boundary=tina-%llx-%llx",
                (unsigned long long)file->stat.modified_ns, (unsigned long long)file->stat.bytes);
    body_begin(file, response, 206, type, bytes);
}

// Writes what stands before a part, or, with the index behind the last, after all.
static uint32_t part_write(const http_file_response *file, uint32_t index, char *out,
                           size_t bytes) {
    unsigned long long modified_ns = file->stat.modified_ns;
    unsigned long long size = file->stat.bytes;
    if (index == file->range_count)
        return (uint32_t)tina_format(out, bytes, "\r\n--tina-%llx-%llx--\r\n", modified_ns, size);
    http_range range = file->ranges[index];
    return (uint32_t)tina_format(
        out, bytes,
        "\r\n--tina-%llx-%llx\r\nContent-Type: %s\r\nContent-Range: bytes %llu-%llu/%llu\r\n\r\n",
        modified_ns, size, file->type, (unsigned long long)range.first,
        (unsigned long long)range.last, size);
}

static void part_begin(http_file_response *file, http_response *response) {
    uint32_t index = file->range_next++;
    char *at = (char *)response->out + response->bytes;
    uint32_t room = response->capacity - response->bytes;
    uint32_t bytes = part_write(file, index, at, room);
    TINA_ASSERT(bytes < room);
    response->bytes += bytes;
    if (index == file->range_count)
        return;
    file->offset = file->ranges[index].first;
    file->left = file->ranges[index].last - file->offset + 1;
}

void http_file_sent(http_file_response *file, http_response *response) {
    TINA_ASSERT(file->state == HTTP_FILE_SEND && file->left == 0);
    if (file->range_count == 0 || file->range_next > file->range_count)
        file->state = HTTP_FILE_CLOSE;
    else
        part_begin(file, response);
}

static void body_begin(http_file_response *file, http_response *response, int status,
                       const char *type, uint64_t bytes) {
    http_stream_begin(response, status, type, bytes);
    bool sends = response->stream == HTTP_STREAM_LENGTH && response->fault == NULL && bytes > 0;
    file->state = sends ? HTTP_FILE_SEND : HTTP_FILE_CLOSE;
}

static void status_answer(http_file_response *file, http_response *response, int status) {
    char text[48];
    uint64_t bytes = file->stat.bytes;
    http_response_reset(response);
    if (status == 416) {
        tina_format(text, sizeof text, "bytes */%llu", (unsigned long long)bytes);
        http_set_header(response, "Content-Range", text);
    }
    if (status == 503)
        http_set_header(response, "Retry-After", "1");
    http_text(response, status, "%d %s\n", status, http_reason(status));
}
