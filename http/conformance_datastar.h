// SPDX-License-Identifier: Apache-2.0
//
// The endpoint that the test suite of Datastar's SDKs talks to: the signals say which events to
// send.

#ifndef TINA_HTTP_CONFORMANCE_DATASTAR_H
#define TINA_HTTP_CONFORMANCE_DATASTAR_H

#include "http/request.h"
#include "http/response.h"

#define CONFORMANCE_DATASTAR_STATE_BYTES 8u

http_step conformance_datastar(http_request *request, http_response *response);

#endif
