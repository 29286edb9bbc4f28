// SPDX-License-Identifier: Apache-2.0
#include "http/serve.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/format.h"
#include "http/service.h"
#include "sched/system.h"

typedef enum arguments_result {
    ARGUMENTS_OK = 0,
    ARGUMENTS_HELP,
    ARGUMENTS_BAD,
} arguments_result;

static arguments_result arguments_read(http_server *server, int argc, char **argv, char *sentence);
static bool number_read(const char *text, uint32_t least, uint32_t most, uint32_t *number);
typedef struct service_calls service_calls;

static void service_enter(service_calls *calls, http_server *chosen);
static int program_run(http_program *program);
static bool log_is_writable(const http_server *server, char *sentence);
static bool address_is_free(const http_program *program, char *sentence);
static int unix_try(const tina_address *address);
static int unix_connect(const tina_address *address);
static int address_try(const tina_address *address);
static int address_reserve(http_program *program);
static socklen_t address_of(const tina_address *address, struct sockaddr_storage *storage);
static void help_write(const http_server *server);
static void listening_write(void *context, const tina_address *address, const char *backend,
                            uint32_t shards);
static void line_write(int fd, const char *line, size_t bytes);

// What goes on around a server that has begun: its own calls, and what its manager is told.
struct service_calls {
    http_service service;
    void (*listening)(void *context, const tina_address *address, const char *backend,
                      uint32_t shards);
    void *listening_context;
    void (*leaving)(void *context);
    void *leaving_context;
};

int http_serve(const http_server *server, int argc, char **argv) {
    // Not on the stack: it is large, and the shard's thread reads it until tina_run returns.
    static http_program program;
    static service_calls calls;
    char sentence[TINA_SENTENCE_BYTES];
    http_server chosen = *server;
    if (chosen.name == NULL && argc > 0) {
        const char *slash = strrchr(argv[0], '/');
        chosen.name = slash != NULL ? slash + 1 : argv[0];
    }
    if (chosen.listening == NULL)
        chosen.listening = listening_write;
    arguments_result arguments = arguments_read(&chosen, argc, argv, sentence);
    if (arguments == ARGUMENTS_HELP) {
        help_write(&chosen);
        return 0;
    }
    if (chosen.shards == 0)
        chosen.shards = tina_shards_all();
    if (arguments == ARGUMENTS_OK && http_service_open(&calls.service, sentence)) {
        service_enter(&calls, &chosen);
        bool ready = http_server_spec(&chosen, &program, sentence) &&
                     (program.server.inherited_fd != 0 || address_is_free(&program, sentence)) &&
                     log_is_writable(&program.server, sentence);
        int status = ready ? program_run(&program) : 1;
        http_service_close(&calls.service);
        if (ready)
            return status;
    }
    char line[TINA_SENTENCE_BYTES + 64];
    line_write(STDERR_FILENO, line,
               tina_format(line, sizeof line, "%.60s: %s\n", chosen.name, sentence));
    return 1;
}

static int program_run(http_program *program) {
    int reserved = address_reserve(program);
    int status = tina_run(&program->spec);
    if (reserved >= 0)
        close(reserved);
    return status;
}

static void service_tell(const service_calls *calls, const char *state) {
    static const char text[] = "the service manager at NOTIFY_SOCKET cannot be told\n";
    if (!http_service_tell(&calls->service, state))
        line_write(STDERR_FILENO, text, sizeof text - 1);
}

static void service_listening(void *calls_, const tina_address *address, const char *backend,
                              uint32_t shards) {
    const service_calls *calls = calls_;
    calls->listening(calls->listening_context, address, backend, shards);
    service_tell(calls, "READY=1");
}

static void service_leaving(void *calls_) {
    const service_calls *calls = calls_;
    if (calls->leaving != NULL)
        calls->leaving(calls->leaving_context);
    service_tell(calls, "STOPPING=1");
}

static void service_enter(service_calls *calls, http_server *chosen) {
    calls->listening = chosen->listening;
    calls->listening_context = chosen->listening_context;
    calls->leaving = chosen->leaving;
    calls->leaving_context = chosen->leaving_context;
    chosen->listening = service_listening;
    chosen->listening_context = calls;
    chosen->leaving = service_leaving;
    chosen->leaving_context = calls;
    if (calls->service.listen_fd != 0)
        chosen->inherited_fd = calls->service.listen_fd;
}

// As with the address: who only mistook the path is told before anything starts.
static bool log_is_writable(const http_server *server, char *sentence) {
    const char *path = server->access_log.path;
    if (server->access_log.format == HTTP_LOG_NONE || path == NULL)
        return true;
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0640);
    if (fd >= 0) {
        close(fd);
        return true;
    }
    tina_format(sentence, TINA_SENTENCE_BYTES,
                "access_log.path is %.80s, which cannot be written: %s; choose another", path,
                tina_io_error_text(-errno));
    return false;
}

static const char *const options[] = {"--port", "--address", "--backend", "--shards", "--spread"};

enum {
    OPTION_PORT = 0,
    OPTION_ADDRESS,
    OPTION_BACKEND,
    OPTION_SHARDS,
    OPTION_SPREAD,
    OPTION_COUNT,
};

// Returns which option a word is, alone or before its "=", or OPTION_COUNT.
static int option_of(const char *word) {
    int i = 0;
    for (; i < OPTION_COUNT; i++) {
        size_t bytes = strlen(options[i]);
        if (strncmp(word, options[i], bytes) == 0 && (word[bytes] == '=' || word[bytes] == '\0'))
            break;
    }
    return i;
}

static bool spread_read(const char *text, http_spread *spread) {
    static const char *const words[] = {"turns", "kernel", "one", "least"};
    for (uint32_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcmp(text, words[i]) != 0)
            continue;
        *spread = (http_spread)i;
        return true;
    }
    return false;
}

static bool value_read(http_server *server, int option, const char *value) {
    uint32_t number = 0;
    switch (option) {
    case OPTION_PORT:
        if (!number_read(value, 0, UINT16_MAX, &number))
            return false;
        server->port = (uint16_t)number;
        return true;
    case OPTION_BACKEND:
        return tina_backend_parse(value, &server->backend);
    case OPTION_SHARDS:
        return number_read(value, 1, TINA_SHARD_COUNT_MAX, &server->shards);
    case OPTION_SPREAD:
        return spread_read(value, &server->spread);
    default:
        server->address = value;
        return true;
    }
}

static bool option_read(http_server *server, int option, const char *value, char *sentence) {
    static const char *const needed[] = {
        [OPTION_PORT] = "a number from 0 to 65535",
        [OPTION_BACKEND] = "auto, io_uring or epoll",
        [OPTION_SHARDS] = "a number from 1 to 255",
        [OPTION_SPREAD] = "turns, kernel, one or least",
    };
    if (value_read(server, option, value))
        return true;
    tina_format(sentence, TINA_SENTENCE_BYTES, "%s is %.80s, but %s is needed", options[option],
                value, needed[option]);
    return false;
}

static arguments_result arguments_read(http_server *server, int argc, char **argv, char *sentence) {
    for (int i = 1; i < argc; i++) {
        const char *name = argv[i];
        if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
            return ARGUMENTS_HELP;
        int option = option_of(name);
        if (option == OPTION_COUNT) {
            tina_format(sentence, TINA_SENTENCE_BYTES,
                        "%.80s is no option of this program; --help lists them", name);
            return ARGUMENTS_BAD;
        }
        const char *equals = strchr(name, '=');
        const char *value = equals != NULL ? equals + 1 : ++i < argc ? argv[i] : NULL;
        if (value == NULL) {
            tina_format(sentence, TINA_SENTENCE_BYTES, "%s lacks its value", name);
            return ARGUMENTS_BAD;
        }
        if (!option_read(server, option, value, sentence))
            return ARGUMENTS_BAD;
    }
    return ARGUMENTS_OK;
}

static bool number_read(const char *text, uint32_t least, uint32_t most, uint32_t *number) {
    uint32_t value = 0;
    const char *at = text;
    for (; *at >= '0' && *at <= '9' && at - text < 6; at++)
        value = value * 10 + (uint32_t)(*at - '0');
    if (at == text || *at != '\0' || value < least || value > most)
        return false;
    *number = value;
    return true;
}

// The listener says so too when it cannot listen; but then a shard has been built, and its log
// speaks of isolates and children. Who only mistook the port is told before anything starts.
static bool address_is_free(const http_program *program, char *sentence) {
    int error = address_try(&program->address);
    if (error == 0)
        return true;
    char text[TINA_ADDRESS_TEXT_BYTES];
    tina_address_format(&program->address, text);
    bool is_unix = program->address.family == TINA_ADDRESS_UNIX;
    const char *remedy = is_unix ? "stop what listens there, or choose another --address"
                         : error == EADDRINUSE    ? "stop what listens there, or choose a --port"
                         : error == EACCES        ? "choose a --port above 1023"
                         : error == EADDRNOTAVAIL ? "choose an --address of this machine"
                                                  : "choose another --address or --port";
    tina_format(sentence, TINA_SENTENCE_BYTES, "cannot listen on %s: %s; %s", text,
                tina_io_error_text(-error), remedy);
    return false;
}

// Returns the fd of a socket that is bound with an option, or -errno.
static int socket_bind(const tina_address *address, int option) {
    struct sockaddr_storage storage;
    socklen_t bytes = address_of(address, &storage);
    int fd = socket(storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    int on = 1;
    if (setsockopt(fd, SOL_SOCKET, option, &on, sizeof on) == 0 &&
        bind(fd, (const struct sockaddr *)&storage, bytes) == 0)
        return fd;
    int error = errno;
    close(fd);
    return -error;
}

// Binding would make the file. A path on which nobody listens is taken over by the listener. The
// kernel may still be taking apart what a process that was killed had in io_uring, its listener
// among it, for a moment after the process is gone.
static int unix_try(const tina_address *address) {
    int error = unix_connect(address);
    for (int tries = 0; error == EADDRINUSE && tries < 20; tries++) {
        poll(NULL, 0, 50);
        error = unix_connect(address);
    }
    return error;
}

static int unix_connect(const tina_address *address) {
    struct sockaddr_un path = {.sun_family = AF_UNIX};
    memcpy(path.sun_path, address->path, address->path_bytes);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return errno;
    int error = connect(fd, (const struct sockaddr *)&path, sizeof path) == 0 ? 0 : errno;
    close(fd);
    if (error == 0 || error == EAGAIN) // EAGAIN: its backlog is full
        return EADDRINUSE;
    return error == ECONNREFUSED || error == ENOENT ? 0 : error;
}

static int address_try(const tina_address *address) {
    if (address->family == TINA_ADDRESS_UNIX)
        return unix_try(address);
    int fd = socket_bind(address, SO_REUSEADDR);
    if (fd < 0)
        return -fd;
    int error = listen(fd, 1) == 0 ? 0 : errno;
    close(fd);
    return error;
}

// Holds the port for listeners that share it, as long as the server runs: one that the kernel
// chose has to be the same for all, and none may be another program's while a shard begins anew.
// Bound only, the socket gets no connections. Returns its fd, or -1 when there is none to hold.
static int address_reserve(http_program *program) {
    tina_address *address = &program->address;
    const http_server *server = &program->server;
    if (server->shards == 1 || server->spread == HTTP_SPREAD_ONE ||
        server->spread == HTTP_SPREAD_LEAST || server->inherited_fd != 0 ||
        address->family == TINA_ADDRESS_UNIX)
        return -1;
    int fd = socket_bind(address, SO_REUSEPORT);
    struct sockaddr_storage storage = {0};
    socklen_t bytes = sizeof storage;
    if (fd < 0 || getsockname(fd, (struct sockaddr *)&storage, &bytes) != 0)
        return fd; // and the listeners tell what is wrong
    address->port =
        ntohs(storage.ss_family == AF_INET6 ? ((const struct sockaddr_in6 *)&storage)->sin6_port
                                            : ((const struct sockaddr_in *)&storage)->sin_port);
    return fd;
}

static socklen_t address_of(const tina_address *address, struct sockaddr_storage *storage) {
    *storage = (struct sockaddr_storage){0};
    if (address->family == TINA_ADDRESS_IPV4) {
        struct sockaddr_in *ipv4 = (struct sockaddr_in *)storage;
        ipv4->sin_family = AF_INET;
        ipv4->sin_port = htons(address->port);
        memcpy(&ipv4->sin_addr, address->ip, sizeof ipv4->sin_addr);
        return sizeof *ipv4;
    }
    struct sockaddr_in6 *ipv6 = (struct sockaddr_in6 *)storage;
    ipv6->sin6_family = AF_INET6;
    ipv6->sin6_port = htons(address->port);
    ipv6->sin6_scope_id = address->scope;
    memcpy(&ipv6->sin6_addr, address->ip, sizeof ipv6->sin6_addr);
    return sizeof *ipv6;
}

static void help_write(const http_server *server) {
    char text[1536];
    size_t bytes = tina_format(
        text, sizeof text,
        "usage: %.60s [--port N] [--address A] [--backend B] [--shards N] [--spread S]\n"
        "  --port N     listen on port N, or on one that the kernel chooses when N is 0 (%u)\n"
        "  --address A  listen on A: 1.2.3.4, ::1 or unix:/path (%.80s)\n"
        "  --backend B  io_uring, epoll, or auto: the one that is granted (auto)\n"
        "  --shards N   threads, each on a core of its own (%u)\n"
        "  --spread S   turns: connections go to all shards in turn; kernel: as the kernel gives\n"
        "               them; one: in turn, from one listener; least: from it, to the shard with\n"
        "               the fewest (turns)\n"
        "  --help       write this text\n"
        "SIGINT and SIGTERM end it when all requests in progress are answered; SIGUSR2 revives\n"
        "shards that faults have stopped. A socket passed by LISTEN_FDS is listened on instead;\n"
        "NOTIFY_SOCKET is told.\n",
        server->name, server->port, server->address != NULL ? server->address : "127.0.0.1",
        server->shards != 0 ? server->shards : tina_shards_all());
    line_write(STDOUT_FILENO, text, bytes);
}

static void listening_write(void *context, const tina_address *address, const char *backend,
                            uint32_t shards) {
    (void)context;
    char text[TINA_ADDRESS_TEXT_BYTES];
    char many[32] = "";
    char line[TINA_ADDRESS_TEXT_BYTES + 96];
    tina_address_format(address, text);
    if (shards > 1)
        tina_format(many, sizeof many, ", %u shards", shards);
    const char *scheme = address->family == TINA_ADDRESS_UNIX ? "" : "http://";
    line_write(
        STDOUT_FILENO, line,
        tina_format(line, sizeof line, "listening on %s%s (%s%s)\n", scheme, text, backend, many));
}

static void line_write(int fd, const char *line, size_t bytes) {
    ssize_t written = write(fd, line, bytes);
    (void)written; // a closed stdout is no reason not to serve
}
