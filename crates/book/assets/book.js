// Search, the theme, and the buttons that copy. Conversations are steps.js.
const one = (selector, from = document) => from.querySelector(selector);
const all = (selector, from = document) => [...from.querySelectorAll(selector)];
const make = (tag, text = "") => {
  const element = document.createElement(tag);
  element.textContent = text;
  return element;
};
one(".tools").hidden = false;

// Search: the index is loaded when it is first needed, as a script, because a page that was
// opened as a file may not fetch another one.
{
  const input = one("input[type=search]"), hits = one("#hits");
  let loading = null, chosen = -1;
  const load = () => loading ??= new Promise((done, failed) => {
    const script = make("script");
    script.src = "search.js";
    script.onload = () => done(window.bookFind);
    script.onerror = failed;
    document.head.append(script);
  });
  const close = () => {
    hits.hidden = true;
    chosen = -1;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
  };
  const choose = (n) => {
    const items = all("[role=option]", hits);
    if (!items.length) return;
    chosen = (n + items.length) % items.length;
    items.forEach((item, at) => item.setAttribute("aria-selected", at === chosen));
    items[chosen].scrollIntoView({ block: "nearest" });
    input.setAttribute("aria-activedescendant", items[chosen].id);
  };
  const find = async () => {
    const asked = input.value;
    if (!asked.trim()) return close();
    const look = await load();
    if (input.value !== asked) return; // Something else was typed meanwhile.
    const found = look(asked);
    hits.replaceChildren(...found.map((entry, n) => {
      const item = make("li"), link = make("a", entry.title), excerpt = make("small");
      item.id = `hit-${n}`;
      item.role = "option";
      item.setAttribute("aria-selected", "false");
      link.href = entry.href;
      link.tabIndex = -1;
      const { at, end } = entry;
      excerpt.append(
        (at > 50 ? "…" : "") + entry.text.slice(Math.max(0, at - 50), at),
        make("mark", entry.text.slice(at, end)),
        entry.text.slice(end, at + 120),
      );
      link.append(excerpt);
      item.append(link);
      return item;
    }));
    if (!found.length) {
      const none = make("li", "Nothing found");
      none.className = "none";
      none.role = "option";
      none.setAttribute("aria-disabled", "true");
      hits.append(none);
    }
    hits.hidden = false;
    chosen = -1;
    input.setAttribute("aria-expanded", "true");
  };
  input.addEventListener("input", find);
  input.addEventListener("focus", load, { once: true });
  input.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      choose(chosen < 0 && event.key === "ArrowUp" ? -1 : chosen + (event.key === "ArrowDown" ? 1 : -1));
      event.preventDefault();
    } else if (event.key === "Enter") {
      all("#hits a")[Math.max(0, chosen)]?.click();
    } else if (event.key === "Escape") {
      input.value = "";
      close();
    }
  });
  document.addEventListener("click", (event) => {
    if (!event.target.closest("#hits,input[type=search]") || event.target.closest("#hits a")) close();
  });
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input,textarea,select,[contenteditable]");
    if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
      input.focus();
      event.preventDefault();
    }
  });
}

// The theme: the system's, unless the reader has chosen one.
{
  const button = one(".theme"), names = ["auto", "light", "dark"];
  let now = "auto";
  const set = (name) => {
    now = names.includes(name) ? name : "auto";
    if (now === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = now;
    button.textContent = `Theme: ${now}`;
  };
  try {
    set(localStorage.getItem("theme") || "auto");
  } catch {
    set("auto"); // A browser that keeps nothing.
  }
  button.addEventListener("click", () => {
    set(names[(names.indexOf(now) + 1) % names.length]);
    try {
      localStorage.setItem("theme", now);
    } catch {
      // Then it holds only for this page.
    }
  });
}

// Copy: from a terminal only the commands, without the prompt.
for (const title of all(".term>.title,.code>.title")) {
  const pre = one("pre", title.parentElement), commands = all("kbd", pre);
  const name = ["Copy", "Copy command", "Copy commands"][Math.min(commands.length, 2)];
  const button = make("button", name);
  button.className = "copy";
  title.append(button);
  button.addEventListener("click", async () => {
    const text = commands.length ? commands.map((it) => it.textContent).join("\n") : pre.textContent;
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      // Without a secure context there is no clipboard, but there is this.
      const area = make("textarea");
      area.value = text;
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = name; }, 1500);
  });
}

// Folded parts are printed too.
addEventListener("beforeprint", () => { for (const it of all("main details")) it.open = true; });
