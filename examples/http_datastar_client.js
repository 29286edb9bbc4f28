// SPDX-License-Identifier: Apache-2.0
//
// As much of Datastar as http_datastar_test needs: the attributes of its page, and the two events.
// The real one cannot be had without a network.

const signals = new Function(`return ${document.body.dataset.signals}`)();

function show() {
    for (const el of document.querySelectorAll('[data-text]')) el.textContent = signals[el.dataset.text.slice(1)];
    for (const el of document.querySelectorAll('[data-bind]')) el.value = signals[el.dataset.bind];
}

function patchElements(args) {
    const html = args.elements.join('\n');
    const made = document.createRange().createContextualFragment(html);
    if (args.mode?.[0] === 'append') document.querySelector(args.selector[0]).append(made);
    else document.getElementById(made.firstElementChild.id).replaceWith(made);
}

function dispatch(event) {
    const args = {};
    let type = '';
    for (const line of event.split('\n')) {
        const [, field, value] = line.match(/^(\w*): ?(.*)$/);
        if (field === 'event') type = value;
        if (field !== 'data') continue;
        const space = value.indexOf(' ');
        (args[value.slice(0, space)] ??= []).push(value.slice(space + 1));
    }
    if (type === 'datastar-patch-elements') patchElements(args);
    if (type === 'datastar-patch-signals') Object.assign(signals, JSON.parse(args.signals.join('\n')));
    show();
}

async function act(expression) {
    const [, action, path] = expression.match(/^@(get|post)\('(.*)'\)$/);
    const body = JSON.stringify(signals);
    const query = action === 'get' ? `?datastar=${encodeURIComponent(body)}` : '';
    const answer = await fetch(path + query, {
        method: action.toUpperCase(),
        headers: { 'Datastar-Request': 'true' },
        body: action === 'get' ? undefined : body,
    });
    if (answer.status === 204) return;
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    for (let rest = '', piece; !(piece = await reader.read()).done; ) {
        const events = (rest + piece.value).split('\n\n');
        rest = events.pop();
        events.forEach(dispatch);
    }
}

for (const el of document.querySelectorAll('*')) {
    for (const { name, value } of el.attributes) {
        const on = name.match(/^data-on:(\w+?)(__prevent)?$/);
        if (!on) continue;
        el.addEventListener(on[1], (event) => {
            if (on[2]) event.preventDefault();
            act(value);
        });
    }
    if (el.dataset.bind) el.addEventListener('input', () => (signals[el.dataset.bind] = el.value));
}
show();
act(document.body.dataset.init);
