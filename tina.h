// SPDX-License-Identifier: Apache-2.0
//
// Tina: everything that a program of isolates needs. The HTTP library (http/http.h) and the
// simulator are included by themselves.

#ifndef TINA_H
#define TINA_H

#include "core/handle.h"
#include "core/key.h"
#include "reactor/io.h"
#include "sched/children.h"
#include "sched/ctx.h"
#include "sched/io.h"
#include "sched/isolate.h"
#include "sched/spec.h"
#include "sched/system.h"

#endif
