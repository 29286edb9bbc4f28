// SPDX-License-Identifier: Apache-2.0
//
// A process that dies by a fault says where, so that two faults at one site are one failure.

#ifndef TINA_SIM_FAULT_H
#define TINA_SIM_FAULT_H

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

// What the line on stderr begins with; then the place, relative to where the program, or the
// library of it, is loaded, as addr2line takes it.
#define SIM_FAULT_WORDS "fault at "

// sim_faults_tell makes this process say so, unless somebody else, a sanitizer, is to be told.
void sim_faults_tell(void);

#ifdef __cplusplus
}
#endif

#endif
