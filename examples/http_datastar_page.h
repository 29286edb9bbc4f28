// SPDX-License-Identifier: Apache-2.0
#ifndef TINA_EXAMPLES_HTTP_DATASTAR_PAGE_H
#define TINA_EXAMPLES_HTTP_DATASTAR_PAGE_H

static const char page_cdn[] =
    "https://cdn.jsdelivr.net/gh/starfederation/datastar@v1.0.3/bundles/datastar.js";

// With a place for where Datastar's script is.
static const char page_format[] =
    "<!doctype html>\n"
    "<html lang='en'>\n"
    "<meta charset='utf-8'>\n"
    "<meta name='viewport' content='width=device-width'>\n"
    "<title>Tina and Datastar</title>\n"
    "<link rel='icon' href='data:,'>\n"
    "<script type='module' src='%s'></script>\n"
    "<style>\n"
    "  body { font: 16px/1.5 system-ui, sans-serif; max-width: 36rem; margin: 2rem auto;\n"
    "         padding: 0 1rem; color: #222; }\n"
    "  h1 { font-size: 1.4rem; }\n"
    "  output { font-variant-numeric: tabular-nums; font-size: 1.4rem; }\n"
    "  button, input { font: inherit; padding: .3rem .8rem; }\n"
    "  form { display: flex; gap: .5rem; margin-top: 1rem; }\n"
    "  input { flex: 1; }\n"
    "  #chat { list-style: none; padding: 0; min-height: 8rem; }\n"
    "  #chat li { border-bottom: 1px solid #ddd; overflow-wrap: anywhere; }\n"
    "</style>\n"
    "<body data-signals='{text: \"\", clock: \"\"}' data-init=\"@get('live')\">\n"
    "<h1>Tina and Datastar</h1>\n"
    "<p>The server's clock (UTC): <output id='clock' data-text='$clock'></output></p>\n"
    "<p>Everybody's counter: <output id='count'></output>\n"
    "  <button id='add' data-on:click=\"@post('add')\">Add one</button></p>\n"
    "<ul id='chat'></ul>\n"
    "<form id='say' data-on:submit__prevent=\"@post('chat')\"><input id='text' data-bind='text'\n"
    "  maxlength='80' autocomplete='off' autofocus placeholder='Say something'\n"
    "  aria-label='Say something'><button>Say</button></form>\n";

#endif
