// Which sections of the book say what was typed. It comes with the index, which a page loads
// when it is first asked.
{
// TIME_WAIT and TIME-WAIT are the same words.
const plain = (text) => text.toLowerCase().replace(/[-_]/g, " ");
const index = window.bookIndex.map(([href, title, text]) => {
  const [page, ...sections] = plain(title).split(" › ");
  const isSource = /\.(rs|py|lua)\.html$/.test(href);
  return { href, title, text, page, section: sections.join(" "), plainText: plain(text), isSource };
});
let known = null;
// The heading counts most, then the title of its page, then the text; a text before a program.
const score = (entry, words) => {
  const begins = (text, word) => ` ${text}`.includes(` ${word}`);
  const all = words.join(" ");
  let sum = begins(entry.section, all) || begins(entry.page, all) ? 20 : begins(entry.plainText, all) ? 5 : 0;
  for (const word of words) {
    const inTitle = entry.section.includes(word) || entry.page.includes(word);
    const inText = entry.plainText.split(word).length - 1;
    if (!inTitle && !inText) return 0;
    sum += begins(entry.section, word) ? 20 : begins(entry.page, word) ? 10 : inTitle ? 3 : 0;
    sum += Math.min(inText, 5);
  }
  return entry.isSource ? sum / 10 : sum;
};
// How many letters have to be changed, added or left out to make one word of another.
const distance = (a, b) => {
  let row = [...Array(b.length + 1).keys()];
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next[j] = Math.min(row[j] + 1, next[j - 1] + 1, row[j - 1] + (a[i - 1] !== b[j - 1]));
    }
    row = next;
  }
  return row[b.length];
};
// The word itself if the book has it, or else the nearest that it has.
const nearest = (word) => {
  const texts = (it) => [it.page, it.section, it.plainText];
  if (word.length < 4 || index.some((it) => texts(it).some((text) => text.includes(word)))) return word;
  known ??= new Set(index.flatMap(texts).join(" ").split(/[^a-z0-9]+/));
  let best = word, least = word.length > 7 ? 3 : 2;
  for (const other of known) {
    if (Math.abs(other.length - word.length) >= least) continue;
    const changes = distance(word, other);
    if (changes < least) [best, least] = [other, changes];
  }
  return best;
};
const small = new Set("a an and are do does for how i in is it my of on the to what when why".split(" "));
// The twenty sections that say it best, and where the text of each has the first word.
window.bookFind = (asked) => {
  const typed = plain(asked).split(/\s+/).filter(Boolean);
  if (!typed.length) return [];
  const telling = typed.filter((word) => !small.has(word));
  const words = (telling.length ? telling : typed).map(nearest);
  const found = index.map((entry) => [score(entry, words), entry]).filter(([sum]) => sum);
  found.sort(([a], [b]) => b - a);
  return found.slice(0, 20).map(([, { href, title, text, plainText }]) => {
    const at = Math.max(0, plainText.indexOf(words[0]));
    return { href, title, text, at, end: plainText.includes(words[0]) ? at + words[0].length : at };
  });
};
}
