// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "core/assert.h"
#include "core/format.h"
#include "http/exchange.h"

static bool group_has(const http_route_group *group, const char *pattern);
static const char *group_fault(const http_route_group *group, const http_routes *routes);

http_step http_pass(http_response *response) {
    (void)response;
    return (http_step){HTTP_STEP_PASS};
}

uint64_t http_groups_of(const http_route_groups *groups, const char *pattern) {
    uint64_t bits = 0;
    for (uint32_t i = 0; i < groups->count; i++)
        bits |= (uint64_t)group_has(&groups->group[i], pattern) << i;
    return bits;
}

bool http_groups_log(const http_route_groups *groups, uint64_t bits) {
    for (uint32_t i = 0; i < groups->count; i++) {
        if ((bits >> i & 1) != 0 && groups->group[i].unlogged)
            return false;
    }
    return true;
}

http_step http_hooks_before(http_request *request, http_response *response) {
    const http_route_groups *groups = request->groups;
    for (uint32_t i = 0; i < groups->count; i++) {
        const http_route_group *group = &groups->group[i];
        for (uint32_t j = 0; j < group->hook_count && (request->group_bits >> i & 1) != 0; j++) {
            const http_hook *hook = &group->hooks[j];
            if (hook->before == NULL)
                continue;
            http_step step = hook->before(request, response, hook->context);
            if (step.kind != HTTP_STEP_PASS || response->fault != NULL)
                return step;
        }
    }
    return (http_step){HTTP_STEP_PASS};
}

void http_hooks_after(http_response *response, int status) {
    http_request *request = response->request;
    if (request->group_bits == 0)
        return;
    const http_route_groups *groups = request->groups;
    TINA_ASSERT(!response->hooked); // an after hook does not answer
    response->hooked = true;
    for (uint32_t i = groups->count; i-- > 0;) {
        const http_route_group *group = &groups->group[i];
        for (uint32_t j = group->hook_count; j-- > 0 && (request->group_bits >> i & 1) != 0;) {
            if (group->hooks[j].after != NULL)
                group->hooks[j].after(request, response, status, group->hooks[j].context);
        }
    }
    response->hooked = false;
}

bool http_groups_check(const http_route_groups *groups, const http_routes *routes,
                       char sentence[HTTP_ROUTER_SENTENCE_BYTES]) {
    if (groups->count > HTTP_GROUP_COUNT_MAX) {
        tina_format(sentence, HTTP_ROUTER_SENTENCE_BYTES,
                    "%u groups of routes are more than %u; give several hooks to one",
                    groups->count, HTTP_GROUP_COUNT_MAX);
        return false;
    }
    for (uint32_t i = 0; i < groups->count; i++) {
        const http_route_group *group = &groups->group[i];
        const char *fault = group_fault(group, routes);
        if (fault == NULL)
            continue;
        tina_format(sentence, HTTP_ROUTER_SENTENCE_BYTES, "group %u of routes (%.80s) %s", i,
                    group->prefix != NULL ? group->prefix : "", fault);
        return false;
    }
    return true;
}

static bool group_has(const http_route_group *group, const char *pattern) {
    if (group->prefix == NULL)
        return true;
    size_t bytes = strlen(group->prefix);
    return pattern != NULL && strncmp(pattern, group->prefix, bytes) == 0 &&
           (pattern[bytes] == '\0' || pattern[bytes] == '/');
}

// A prefix that no route has is a mistake that would leave routes without their hooks.
static const char *group_fault(const http_route_group *group, const http_routes *routes) {
    if (group->hook_count > 0 && group->hooks == NULL)
        return "has a hook_count without hooks";
    if (group->prefix == NULL)
        return NULL;
    size_t bytes = strlen(group->prefix);
    if (bytes < 2 || group->prefix[0] != '/' || group->prefix[bytes - 1] == '/')
        return "has a prefix that is not /one or /one/more; without any it is for all requests";
    for (uint32_t i = 0; i < routes->count; i++) {
        if (group_has(group, routes->route[i].pattern))
            return NULL;
    }
    return "has a prefix that no route's pattern begins with";
}
