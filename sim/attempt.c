// SPDX-License-Identifier: Apache-2.0

#define _GNU_SOURCE
#include "sim/attempt.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/assert.h"
#include "sim/fault.h"

#define STRUCK_MAX (1u << 20)

uint32_t sim_run_cpu_ms = SIM_RUN_CPU_MS;
static uint64_t *child_events;

struct sim_attempt {
    sim_outcome outcome;
    bool finished;
    uint64_t events;
    uint32_t shards;
    uint64_t struck_count; // also those beyond STRUCK_MAX
    uint64_t struck[STRUCK_MAX];
};

static uint64_t cpu_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void sim_outcome_run(const sim_plan *plan, void (*trace)(void *, const tina_sim_event_view *),
                     void *where, sim_outcome *outcome) {
    tina_sim_options options = sim_plan_options(plan);
    tina_sim_report report;
    char sentence[TINA_SENTENCE_BYTES];
    uint64_t begin_ns = cpu_ns();
    options.trace = trace;
    options.trace_where = where;
    options.events_seen = child_events;
    *outcome = (sim_outcome){0};
    outcome->ran = tina_simulate(plan->scenario, &options, &report, sentence);
    outcome->cpu_ns = cpu_ns() - begin_ns;
    if (!outcome->ran) {
        snprintf(outcome->sentence, sizeof outcome->sentence, "%s", sentence);
        return;
    }
    outcome->failed = report.failed;
    outcome->hash = report.hash;
    outcome->events = report.events;
    outcome->turns = report.turns;
    outcome->virtual_ns = report.virtual_ns;
    outcome->shards = report.shards;
    if (report.failed) {
        snprintf(outcome->checker, sizeof outcome->checker, "%s", report.checker);
        snprintf(outcome->sentence, sizeof outcome->sentence, "%s", report.sentence);
    }
    tina_sim_report_end(&report);
}

void sim_plan_control(sim_plan *control, const sim_plan *plan, bool calm) {
    static uint64_t none[1];
    tina_sim_settings settings;
    char sentence[TINA_SENTENCE_BYTES];
    *control = *plan;
    control->kept = none;
    control->kept_count = 0;
    control->events_max = 0;
    if (!calm || !sim_plan_settings(plan, &settings, sentence))
        return;
    control->calm = true;
    snprintf(control->set, sizeof control->set, "load_permille=%llu",
             (unsigned long long)settings.load_permille);
}

sim_attempt *sim_attempt_open(void) {
    void *memory = mmap(NULL, sizeof(sim_attempt), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    TINA_ASSERT(memory != MAP_FAILED);
    return memory;
}

void sim_attempt_close(sim_attempt *attempt) {
    munmap(attempt, sizeof *attempt);
}

int sim_child_stderr(void) {
    int fd = memfd_create("stderr", MFD_CLOEXEC);
    TINA_ASSERT(fd >= 0);
    return fd;
}

void sim_child_count(uint64_t *events) {
    child_events = events;
}

void sim_child_begin(int stderr_fd) {
    const struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    fflush(stderr);
    dup2(stderr_fd, STDERR_FILENO);
    sim_faults_tell();
}

// SIGPROF's default is the end.
void sim_child_limit(void) {
    const struct itimerval limit = {
        .it_value = {.tv_sec = sim_run_cpu_ms / 1000, .tv_usec = sim_run_cpu_ms % 1000 * 1000}};
    setitimer(ITIMER_PROF, &limit, NULL);
}

typedef struct attempt_watch {
    sim_attempt *attempt;
    void (*trace)(void *, const tina_sim_event_view *);
    void *where;
} attempt_watch;

static void event_watch(void *watch_, const tina_sim_event_view *event) {
    const attempt_watch *watch = watch_;
    sim_attempt *attempt = watch->attempt;
    const char *begin = strstr(event->line, " BEGIN shards=");
    if (begin)
        attempt->shards = (uint32_t)strtoul(begin + sizeof " BEGIN shards=" - 1, NULL, 10);
    const char *strike = strstr(event->line, " STRIKE ");
    const char *decision = strike ? strstr(strike, "decision=") : NULL;
    if (decision) {
        if (attempt->struck_count < STRUCK_MAX)
            attempt->struck[attempt->struck_count] =
                strtoull(decision + sizeof "decision=" - 1, NULL, 16);
        attempt->struck_count++;
    }
    if (watch->trace)
        watch->trace(watch->where, event);
}

static int decision_compare(const void *a, const void *b) {
    uint64_t left = *(const uint64_t *)a;
    uint64_t right = *(const uint64_t *)b;
    return left < right ? -1 : left > right;
}

// A stream that begins anew has its names twice, and they stay or go together.
static void struck_sort(sim_attempt *attempt) {
    uint64_t count = 0;
    qsort(attempt->struck, attempt->struck_count, sizeof *attempt->struck, decision_compare);
    for (uint64_t i = 0; i < attempt->struck_count; i++)
        if (i == 0 || attempt->struck[i] != attempt->struck[i - 1])
            attempt->struck[count++] = attempt->struck[i];
    attempt->struck_count = count;
}

static void attempt_child(sim_attempt *attempt, const sim_plan *plan, const attempt_watch *watch) {
    sim_child_limit();
    attempt_watch copy = *watch;
    bool watched = watch->attempt != NULL;
    sim_outcome_run(plan, watched ? event_watch : watch->trace, watched ? &copy : watch->where,
                    &attempt->outcome);
    attempt->finished = true;
}

static int child_wait(pid_t child) {
    int status = 0;
    while (waitpid(child, &status, 0) < 0)
        TINA_ASSERT(errno == EINTR);
    return status;
}

void sim_attempt_run(sim_attempt *attempt, const sim_plan *plan, bool watched,
                     void (*trace)(void *, const tina_sim_event_view *), void *where,
                     sim_outcome *outcome) {
    const attempt_watch watch = {watched ? attempt : NULL, trace, where};
    int stderr_fd = sim_child_stderr();
    attempt->finished = false;
    attempt->events = 0;
    attempt->shards = 0;
    attempt->struck_count = 0;
    fflush(NULL);
    pid_t child = fork();
    TINA_ASSERT(child >= 0);
    if (child == 0) {
        sim_child_begin(stderr_fd);
        sim_child_count(&attempt->events);
        attempt_child(attempt, plan, &watch);
        _exit(0);
    }
    int status = child_wait(child);
    if (attempt->finished) {
        *outcome = attempt->outcome;
    } else {
        sim_outcome_of_death(outcome, status, stderr_fd);
        outcome->events = attempt->events;
        outcome->shards = attempt->shards;
    }
    close(stderr_fd);
    if (attempt->struck_count && attempt->struck_count <= STRUCK_MAX)
        struck_sort(attempt);
    outcome->struck_count = (uint32_t)attempt->struck_count;
}

const uint64_t *sim_attempt_struck(const sim_attempt *attempt) {
    return attempt->struck_count <= STRUCK_MAX ? attempt->struck : NULL;
}

// The end of what a process has said, a string.
static void tail_read(int fd, char *text, size_t capacity) {
    off_t end = lseek(fd, 0, SEEK_END);
    off_t from = end > (off_t)capacity - 1 ? end - (off_t)capacity + 1 : 0;
    ssize_t got = pread(fd, text, capacity - 1, from);
    text[got > 0 ? got : 0] = '\0';
}

// Copies the line of text that `at` lies in.
static void line_copy(char *out, size_t capacity, const char *text, const char *at) {
    while (at > text && at[-1] != '\n')
        at--;
    snprintf(out, capacity, "%.*s", (int)strcspn(at, "\n"), at);
}

static void signal_name(char *out, size_t capacity, int status) {
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGPROF)
        snprintf(out, capacity, SIM_NO_END);
    else if (WIFSIGNALED(status))
        snprintf(out, capacity, "SIG%s", sigabbrev_np(WTERMSIG(status)));
    else
        snprintf(out, capacity, "exit %d", WEXITSTATUS(status));
}

typedef enum death_site {
    DEATH_ASSERTION = 0,
    DEATH_UNDEFINED, // UBSan
    DEATH_SANITIZER,
    DEATH_FAULT,
    DEATH_SITES,
} death_site;

static const char *const site_words[DEATH_SITES] = {
    [DEATH_ASSERTION] = ": assertion failed: ",
    [DEATH_UNDEFINED] = ": runtime error: ",
    [DEATH_SANITIZER] = "SUMMARY: ",
    [DEATH_FAULT] = SIM_FAULT_WORDS,
};

static void checker_of_site(sim_outcome *outcome, death_site site, int status) {
    const char *line = outcome->sentence;
    char name[32];
    switch (site) {
    case DEATH_ASSERTION:
    case DEATH_UNDEFINED:
        snprintf(outcome->checker, sizeof outcome->checker, "assertion at %.*s",
                 (int)(strstr(line, site_words[site]) - line), line);
        return;
    case DEATH_FAULT:
        signal_name(name, sizeof name, status);
        line += sizeof SIM_FAULT_WORDS - 1;
        snprintf(outcome->checker, sizeof outcome->checker, "%s at %.*s", name,
                 (int)strcspn(line, " "), line);
        return;
    case DEATH_SANITIZER:
    case DEATH_SITES:
        break;
    }
    snprintf(outcome->checker, sizeof outcome->checker, "%.159s", line);
}

// What names its site does so in the process's last words. Otherwise the signal is all there is.
void sim_outcome_of_death(sim_outcome *outcome, int status, int stderr_fd) {
    char text[8192];
    *outcome = (sim_outcome){.ran = true, .failed = true, .died = true};
    tail_read(stderr_fd, text, sizeof text);
    for (int site = 0; site < DEATH_SITES; site++) {
        const char *at = strstr(text, site_words[site]);
        if (!at)
            continue;
        line_copy(outcome->sentence, sizeof outcome->sentence, text, at);
        checker_of_site(outcome, (death_site)site, status);
        return;
    }
    signal_name(outcome->checker, sizeof outcome->checker, status);
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGPROF)
        snprintf(outcome->sentence, sizeof outcome->sentence,
                 "after %u s of CPU time it was not over", sim_run_cpu_ms / 1000);
    else if (text[0])
        line_copy(outcome->sentence, sizeof outcome->sentence, text, text + strlen(text) - 1);
    else
        snprintf(outcome->sentence, sizeof outcome->sentence, "the process died and said nothing");
}
