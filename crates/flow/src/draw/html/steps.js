"use strict";
// Moves a cursor through conversations. Everything that is shown was computed before; this
// script only selects. It makes elements and sets their text, and never parses text as HTML.
for (const figure of document.querySelectorAll(".s-steps")) {
  const one = (selector) => figure.querySelector(selector);
  const all = (selector) => [...figure.querySelectorAll(selector)];
  const make = (tag, className, text) => {
    const element = document.createElement(tag);
    if (className) element.className = className;
    if (text !== undefined) element.textContent = text;
    return element;
  };
  const data = JSON.parse(one("script").textContent);
  const rows = all(".s-row"), range = one("input"), play = one("[data-go=play]");
  const lines = new Map();
  for (const box of all(".s-source")) {
    const first = box.querySelector("ol").start;
    [...box.querySelectorAll("li")].forEach((line, n) => lines.set(`${box.dataset.file}:${first + n}`, line));
  }
  let at = 0, timer = 0, near = false, late = null;

  // One file is shown at a time.
  const file = (number) => {
    for (const box of all(".s-source")) box.hidden = box.dataset.file !== number;
    for (const tab of all(".s-tabs button")) tab.setAttribute("aria-pressed", tab.dataset.file === number);
  };
  for (const tab of all(".s-tabs button")) tab.addEventListener("click", () => file(tab.dataset.file));

  // Scrolls only the box, never the page.
  const keep = (box, element) => {
    const outer = box.getBoundingClientRect(), inner = element.getBoundingClientRect();
    if (inner.top < outer.top + 50 || inner.bottom > outer.bottom - 15) {
      box.scrollTop += inner.top - outer.top - box.clientHeight / 2;
    }
  };

  const showKernel = (step) => {
    const table = one(".s-kernel table"), body = table.tBodies[0];
    const held = data.kernels[step.kernel] || [];
    // A listener and a socket for datagrams may have the same address.
    const key = (it) => it[4] + (it[1] === "UDP");
    const before = new Map(at ? (data.kernels[data.steps[at - 1].kernel] || []).map((it) => [key(it), it]) : []);
    one(".s-kernel caption").textContent = step.measured;
    table.className = step.between ? "s-between" : "";
    body.replaceChildren();
    for (const it of held) {
      const row = make("tr"), old = before.get(key(it));
      const head = make("th", "", it[0]);
      head.scope = "row";
      row.append(head);
      for (const n of [1, 2, 3, 4]) {
        const cell = make("td", n === 1 ? "s-tcp" : "", it[n]);
        if (!old || old[n] !== it[n]) cell.classList.add("s-new");
        if ((n === 2 || n === 3) && it[n] !== "0" && it[1] !== "LISTEN") cell.classList.add("s-hot");
        row.append(cell);
      }
      body.append(row);
    }
    if (!held.length) {
      const cell = make("td", "s-dim", step.kernel < 0 ? "Nothing was measured" : "No socket has an address yet");
      cell.colSpan = 5;
      const row = make("tr");
      row.append(cell);
      body.append(row);
    }
  };

  const showPacket = (step) => {
    const box = one(".s-packet");
    box.replaceChildren();
    if (step.packet) {
      const list = make("dl");
      for (const [name, value] of step.packet) list.append(make("dt", "", name), make("dd", "", value));
      box.append(list);
    }
    if (step.bytes) {
      const bytes = make("pre", "s-bytes", step.bytes);
      bytes.tabIndex = 0;
      bytes.setAttribute("aria-label", "Bytes in hexadecimal and as text");
      box.append(bytes);
    }
  };

  const showTerminals = (step) => {
    for (const terminal of all(".s-terminal")) {
      const mine = data.printed.slice(0, step.printed).filter((it) => it[0] === +terminal.dataset.side);
      terminal.replaceChildren(...mine.map((it) => make("span", it[1] === 2 ? "s-err" : "", it[2])));
    }
  };

  const go = (n, quiet) => {
    at = Math.max(0, Math.min(data.steps.length - 1, n));
    const step = data.steps[at];
    range.value = at;
    range.setAttribute("aria-valuetext", `Step ${at + 1} of ${data.steps.length}`);
    one(".s-count").textContent = `${at + 1} of ${data.steps.length}`;
    one(".s-words").textContent = rows[at].querySelector(".s-said").textContent;
    showKernel(step);
    showPacket(step);
    showTerminals(step);
    rows.forEach((row, n) => {
      row.classList.toggle("s-after", n > at);
      row.classList.toggle("s-here", n === at);
      row.querySelector(".s-number").tabIndex = n === at ? 0 : -1;
      if (n === at) row.setAttribute("aria-current", "step");
      else row.removeAttribute("aria-current");
    });
    const seen = [[one(".s-drawing"), rows[at]]];
    for (const line of lines.values()) line.classList.remove("s-here", "s-waits");
    const shown = step.line || data.steps.slice(0, at + 1).findLast((it) => it.line)?.line || data.steps.find((it) => it.line)?.line;
    if (shown) file(shown.split(":")[0]);
    for (const [name, waits] of step.lines) {
      const line = lines.get(name);
      if (!line) continue;
      line.classList.add(waits ? "s-waits" : "s-here");
      seen.push([line.closest(".s-source"), line]);
    }
    const scroll = () => {
      for (const [box, element] of seen) keep(box, element);
      for (const terminal of all(".s-terminal")) terminal.scrollTop = terminal.scrollHeight;
    };
    // Scrolling forces a layout, which a page that opens puts off until the figure comes near.
    if (near) scroll();
    else late = scroll;
    figure.dataset.at = at + 1;
    if (at === data.steps.length - 1) stop();
    if (quiet) return;
    try {
      history.replaceState(null, "", `#${figure.id}-${at + 1}`);
    } catch {
      // A page that may not change its address can still be stepped through.
    }
  };

  const stop = () => {
    clearInterval(timer);
    timer = 0;
    play.setAttribute("aria-pressed", "false");
  };
  const does = {
    first: () => go(0),
    back: () => go(at - 1),
    next: () => go(at + 1),
    last: () => go(data.steps.length - 1),
    play: () => {
      if (timer) return stop();
      if (at === data.steps.length - 1) go(0);
      timer = setInterval(() => go(at + 1), 1200);
      play.setAttribute("aria-pressed", "true");
    },
  };
  const act = (what) => {
    if (what !== "play") stop();
    does[what]();
  };
  one(".s-bar").addEventListener("click", (event) => {
    const button = event.target.closest("[data-go]");
    if (button) act(button.dataset.go);
  });
  range.addEventListener("input", () => {
    stop();
    go(+range.value);
  });
  figure.addEventListener("keydown", (event) => {
    const target = event.target;
    if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
    // The slider handles keys itself, and what can be scrolled scrolls.
    if (target === range || target.closest(".s-bytes,.s-terminal,.s-source,.s-kernel,summary")) return;
    const what = { ArrowRight: "next", ArrowLeft: "back", Home: "first", End: "last" }[event.key];
    if (!what) return;
    act(what);
    if (target.closest(".s-number")) rows[at].querySelector(".s-number").focus({ preventScroll: true });
    event.preventDefault();
  });

  // What belongs together is marked together: the rows of a line, and the line of a row.
  const peek = (name) => {
    rows.forEach((row, n) => row.classList.toggle("s-same", !!name && data.steps[n].line === name));
    for (const [key, line] of lines) line.classList.toggle("s-same", key === name);
    const line = lines.get(name);
    if (!line) return;
    file(name.split(":")[0]);
    keep(line.closest(".s-source"), line);
  };
  rows.forEach((row, n) => {
    const show = () => peek(data.steps[n].line);
    row.addEventListener("mouseenter", show);
    row.addEventListener("mouseleave", () => peek(null));
    row.addEventListener("focusin", show);
    row.addEventListener("focusout", () => peek(null));
    row.addEventListener("click", (event) => {
      if (event.target.closest(".s-at")) return;
      event.preventDefault();
      stop();
      go(n);
    });
  });
  for (const [name, line] of lines) {
    if (!line.querySelector("a")) continue;
    const mark = (on) => () => {
      rows.forEach((row, n) => row.classList.toggle("s-same", on && data.steps[n].line === name));
      line.classList.toggle("s-same", on);
      const first = rows.find((row) => row.classList.contains("s-same"));
      if (first) keep(one(".s-drawing"), first);
    };
    line.addEventListener("mouseenter", mark(true));
    line.addEventListener("mouseleave", mark(false));
    line.addEventListener("focusin", mark(true));
    line.addEventListener("focusout", mark(false));
    line.addEventListener("click", (event) => {
      event.preventDefault();
      stop();
      // The next step of this line, or else its first.
      const of = (step) => step.line === name;
      const next = data.steps.findIndex((step, n) => n > at && of(step));
      go(next < 0 ? data.steps.findIndex(of) : next);
    });
  }

  const fromAddress = () => {
    const found = location.hash.match(/^#(.*)-(\d+)$/);
    if (!found || found[1] !== figure.id) return false;
    go(found[2] - 1, true);
    figure.scrollIntoView();
    return true;
  };
  addEventListener("hashchange", fromAddress);
  new IntersectionObserver((seen, observer) => {
    if (!seen.some((it) => it.isIntersecting)) return;
    observer.disconnect();
    near = true;
    late();
  }, { rootMargin: "50%" }).observe(figure);
  one(".s-panel").hidden = false;
  figure.classList.add("s-on");
  // A page may show right away what a packet carries.
  if (!fromAddress()) go("carried" in figure.dataset ? data.steps.findIndex((it) => it.packet && it.bytes) : 0, true);
}
