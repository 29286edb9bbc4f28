// SPDX-License-Identifier: Apache-2.0
//
// What public suites and conformance_test.cc talk to: any path and any method is answered 200 with
// the request's body, or "OK" when it has none; /echo answers with the request's fields, /cookie
// with its cookies, /test with the events that Datastar's signals ask for, and below /static is a
// directory, made at start and removed at the end.
//
//     conformance_server --port N [--deadline-ms N]
//
// The deadline, which comes last, is for a head, between two requests, and for a body. Without it
// the first two are short, since suites stop in the midst of a head and wait.

#define _GNU_SOURCE // mempcpy
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "http/conformance_datastar.h"
#include "http/cookie.h"
#include "http/router.h"
#include "http/serve.h"

#define MILLISECOND_NS UINT64_C(1000000)
#define BODY_LIMIT     (UINT64_C(2) << 30)

// A body this short is read to its end before it is answered, so that a bad end is answered 400; a
// longer one is sent back as it comes.
#define BODY_KEPT 16384u

typedef struct answer_state {
    uint32_t bytes;
    uint8_t body[BODY_KEPT];
} answer_state;

static http_step answer_piece(http_request *req, http_response *res) {
    tina_bytes piece = http_body(req);
    if (!http_write(res, piece.data, piece.bytes))
        return http_stream(res, answer_piece);
    return http_body_ended(req) ? http_end(res) : http_read(res, answer_piece);
}

static http_step answer_first(http_request *req, http_response *res) {
    answer_state *state = http_state(req);
    tina_bytes piece = http_body(req);
    if (piece.bytes > BODY_KEPT - state->bytes) {
        const char *length = http_header(req, "content-length");
        http_stream_begin(res, 200, "application/octet-stream",
                          length != NULL ? strtoull(length, NULL, 10) : HTTP_BYTES_UNKNOWN);
        http_write(res, state->body, state->bytes);
        return answer_piece(req, res);
    }
    memcpy(state->body + state->bytes, piece.data, piece.bytes);
    state->bytes += (uint32_t)piece.bytes;
    if (!http_body_ended(req))
        return http_read(res, answer_first);
    if (state->bytes == 0)
        return http_text(res, 200, "OK");
    return http_bytes(res, 200, "application/octet-stream", state->body, state->bytes);
}

static http_step answer(http_request *req, http_response *res) {
    (void)req;
    return http_read(res, answer_first);
}

static http_step echo(http_request *req, http_response *res) {
    size_t bytes = 0;
    for (uint32_t i = 0; i < http_header_count(req); i++) {
        const char *name;
        const char *value = http_header_at(req, i, &name);
        bytes += strlen(name) + strlen(value) + 3;
    }
    char *lines = http_scratch(req, bytes);
    char *at = lines;
    for (uint32_t i = 0; lines != NULL && i < http_header_count(req); i++) {
        const char *name;
        const char *value = http_header_at(req, i, &name);
        at = stpcpy(stpcpy(stpcpy(stpcpy(at, name), ": "), value), "\n");
    }
    return http_bytes(res, 200, "text/plain", lines, (size_t)(at - lines));
}

static http_step cookies(http_request *req, http_response *res) {
    size_t bytes = 0;
    http_cookie_cursor cursor = {0};
    while (http_cookie_next(req, &cursor))
        bytes += cursor.name.bytes + cursor.value.bytes + 2;
    char *lines = http_scratch(req, bytes);
    char *at = lines;
    for (cursor = (http_cookie_cursor){0}; lines != NULL && http_cookie_next(req, &cursor);) {
        at = mempcpy(at, cursor.name.data, cursor.name.bytes);
        *at++ = '=';
        at = mempcpy(at, cursor.value.data, cursor.value.bytes);
        *at++ = '\n';
    }
    return http_bytes(res, 200, "text/plain", lines, (size_t)(at - lines));
}

static http_step read_only(http_request *req, http_response *res) {
    (void)req;
    http_set_header(res, "Allow", "GET, HEAD, OPTIONS");
    return http_text(res, 405, "405 Method Not Allowed\n");
}

static bool has_dot_segment(const char *path, uint32_t bytes) {
    for (uint32_t at = 0; at < bytes; at++) {
        const char *segment = path + at + 1;
        bool ends = segment[0] == '.' && strchr("/", segment[segment[1] == '.' ? 2 : 1]) != NULL;
        if (path[at] == '/' && ends)
            return true;
    }
    return memchr(path, '\0', bytes) != NULL;
}

// Empty segments and encoded slashes are below no "*name", and are answered as any path is.
static http_step answer_odd(http_request *req, http_response *res) {
    const char *path = http_path(req);
    uint32_t bytes = (uint32_t)strlen(path);
    char *decoded = http_scratch(req, bytes + 3);
    if (decoded == NULL)
        return http_text(res, 414, "414 URI Too Long\n");
    memset(decoded, 0, bytes + 3);
    bytes = http_percent_decode(path, bytes, decoded);
    if (has_dot_segment(decoded, bytes) || strncmp(decoded, "/static/", 8) == 0)
        return http_text(res, 404, "404 Not Found\n");
    if (http_request_method(req) == HTTP_TRACE || http_request_method(req) == HTTP_OPTIONS)
        return read_only(req, res);
    return http_read(res, answer_first);
}

// Of a name that ends with a slash, a directory is made; of one with a target, a link to it.
static const struct entry {
    const char *name;
    const char *text;
    const char *target;
} entries[] = {
    {"a.txt", "abcdefghijklmnopqrstuvwxyz", NULL},
    {"empty.txt", "", NULL},
    {"page.html", "<p>page</p>", NULL},
    {"page.html.gz", "as if compressed", NULL},
    {"sub/", NULL, NULL},
    {"sub/index.html", "<p>index</p>", NULL},
    {"sub/b.txt", "b", NULL},
    {"bare/", NULL, NULL},
    {"passwd", NULL, "/etc/passwd"},
    {"etc", NULL, "/etc"},
    {"inside.txt", NULL, "a.txt"},
};

#define ENTRY_COUNT (sizeof entries / sizeof entries[0])

static char directory[256];

static const char *entry_path(const struct entry *entry) {
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", directory, entry->name);
    return path;
}

static void entry_make(const struct entry *entry) {
    const char *path = entry_path(entry);
    bool made;
    if (entry->target != NULL) {
        made = symlink(entry->target, path) == 0;
    } else if (entry->text == NULL) {
        made = mkdir(path, 0755) == 0;
    } else {
        int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0644);
        size_t bytes = strlen(entry->text);
        made = fd >= 0 && write(fd, entry->text, bytes) == (ssize_t)bytes && close(fd) == 0;
    }
    if (!made) {
        perror(path);
        exit(1);
    }
}

static void directory_make(void) {
    const char *base = getenv("TEST_TMPDIR");
    snprintf(directory, sizeof directory, "%s/tina-XXXXXX", base != NULL ? base : "/tmp");
    if (mkdtemp(directory) == NULL) {
        perror(directory);
        exit(1);
    }
    for (size_t i = 0; i < ENTRY_COUNT; i++)
        entry_make(&entries[i]);
}

static void directory_remove(void) {
    for (size_t i = ENTRY_COUNT; i-- > 0;)
        remove(entry_path(&entries[i]));
    rmdir(directory);
}

// TRACE is not here, since it would tell a script what its browser sent (RFC 9110 §9.3.8); HEAD and
// OPTIONS are the server's own.
static const http_method methods[] = {
    HTTP_DELETE,   HTTP_GET,    HTTP_POST,       HTTP_PUT,       HTTP_COPY,      HTTP_LOCK,
    HTTP_MKCOL,    HTTP_MOVE,   HTTP_PROPFIND,   HTTP_PROPPATCH, HTTP_SEARCH,    HTTP_UNLOCK,
    HTTP_BIND,     HTTP_REBIND, HTTP_UNBIND,     HTTP_ACL,       HTTP_REPORT,    HTTP_MKACTIVITY,
    HTTP_CHECKOUT, HTTP_MERGE,  HTTP_MSEARCH,    HTTP_NOTIFY,    HTTP_SUBSCRIBE, HTTP_UNSUBSCRIBE,
    HTTP_PATCH,    HTTP_PURGE,  HTTP_MKCALENDAR, HTTP_LINK,      HTTP_UNLINK,
};

#define METHOD_COUNT (sizeof methods / sizeof methods[0])

int main(int argc, char **argv) {
    http_route routes[5 * METHOD_COUNT];
    uint32_t count = 0;
    for (size_t i = 0; i < METHOD_COUNT; i++) {
        routes[count++] = (http_route){methods[i], "/echo", echo, 0};
        routes[count++] = (http_route){methods[i], "/cookie", cookies, 0};
        routes[count++] = (http_route){methods[i], "/test", conformance_datastar, 1u << 20,
                                       CONFORMANCE_DATASTAR_STATE_BYTES};
        routes[count++] = methods[i] == HTTP_GET
                              ? (http_route){HTTP_GET, "/static/*path", .directory = directory,
                                             .precompressed = true}
                              : (http_route){methods[i], "/static/*path", read_only};
        routes[count++] =
            (http_route){methods[i], "/*path", answer, BODY_LIMIT, sizeof(answer_state), true};
    }
    http_server server = {.port = 8080,
                          .routes = {routes, count},
                          .otherwise = {.handler = answer_odd,
                                        .body_limit = BODY_LIMIT,
                                        .state_bytes = sizeof(answer_state),
                                        .streamed = true},
                          .response_bytes = 1u << 15};
    server.header_timeout_ns = 2000 * MILLISECOND_NS;
    server.idle_timeout_ns = 2000 * MILLISECOND_NS;
    if (argc > 2 && strcmp(argv[argc - 2], "--deadline-ms") == 0) {
        server.header_timeout_ns = strtoull(argv[argc - 1], NULL, 10) * MILLISECOND_NS;
        server.idle_timeout_ns = server.header_timeout_ns;
        server.body_timeout_ns = server.header_timeout_ns;
        argc -= 2;
    }
    directory_make();
    int status = http_serve(&server, argc, argv);
    directory_remove();
    return status;
}
