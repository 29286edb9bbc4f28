// SPDX-License-Identifier: Apache-2.0

#include "supervise/quarantine.h"

void tina_quarantine_init(tina_quarantine *quarantine, const tina_quarantine_policy *policy) {
    uint32_t rebuilds = policy->rebuilds == 0 ? TINA_REBUILDS_DEFAULT : policy->rebuilds;
    if (rebuilds == TINA_REBUILDS_NONE)
        rebuilds = 0;
    TINA_ASSERT(rebuilds <= TINA_REBUILDS_MAX);
    TINA_ASSERT((unsigned)policy->abort <= TINA_ABORT_NEVER);
    quarantine->abort = policy->abort;
    tina_window_init(&quarantine->window, quarantine->times, rebuilds,
                     policy->period_ns == 0 ? TINA_REBUILDS_PERIOD_DEFAULT_NS : policy->period_ns);
}

tina_quarantine_verdict tina_quarantine_faulted(tina_quarantine *quarantine, bool drained,
                                                uint32_t others, uint64_t now_ns) {
    if (drained && tina_window_add(&quarantine->window, now_ns))
        return TINA_QUARANTINE_REBUILD;
    switch (quarantine->abort) {
    case TINA_ABORT_AT_ONCE:
        return TINA_QUARANTINE_ABORT;
    case TINA_ABORT_NEVER:
        return TINA_QUARANTINE_KEEP;
    case TINA_ABORT_WHEN_NONE_LEFT:
        return others == 0 ? TINA_QUARANTINE_ABORT : TINA_QUARANTINE_KEEP;
    }
    tina_assert_failed("an unknown abort policy", __FILE__, __LINE__);
}

void tina_quarantine_revived(tina_quarantine *quarantine) {
    tina_window_clear(&quarantine->window);
}
