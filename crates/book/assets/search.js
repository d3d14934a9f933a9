// Which sections of the book say what was typed. It comes with the index, which a page loads
// when it is first asked.
{
// TIME_WAIT and TIME-WAIT are the same words.
const plain = (text) => text.toLowerCase().replace(/[-_]/g, " ");
const index = window.bookIndex.map(([href, title, text]) => {
  const [page, ...sections] = plain(title).split(" › ");
  const isSource = /\.(rs|py|lua)\.html$/.test(href);
  const isLesson = /^(\d|questions|errors|sheet)/.test(href);
  return { href, title, text, page, section: sections.join(" "), plainText: plain(text), isSource, isLesson };
});
let known = null;
const has = (entry, word) => entry.section.includes(word) || entry.page.includes(word) || entry.plainText.includes(word);
// The heading counts most, then the title of its page, then the text; a text before a program,
// and a lesson before what is written for teachers and maintainers.
// A word that few sections have says more than one that most have. Who asks in a sentence uses
// words that the answer does not have, so a part of them may be missing.
const score = (entry, words, phrase) => {
  const begins = (text, word) => ` ${text}`.includes(` ${word}`);
  let sum = begins(entry.section, phrase) || begins(entry.page, phrase) ? 60 : begins(entry.plainText, phrase) ? 15 : 0;
  let all = 0, had = 0;
  for (const [word, rarity] of words) {
    all += rarity;
    if (!has(entry, word)) continue;
    had += rarity;
    const inTitle = entry.section.includes(word) || entry.page.includes(word);
    const inText = entry.plainText.split(word).length - 1;
    sum += rarity * (begins(entry.section, word) ? 20 : begins(entry.page, word) ? 10 : inTitle ? 3 : 0);
    sum += rarity * Math.min(inText, 5);
  }
  if (had < all * 0.4) return 0;
  sum *= (had / all) ** 2;
  return entry.isSource ? sum / 10 : entry.isLesson ? sum : sum / 2;
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
const small = new Set(`a after an and are at be between but by can could difference do does for from get have how i if in is
it its me my no not of on one or out should so that the there to up use versus vs was we what when where which who why
will with would you`.split(/\s+/));
// Sockets, closed and receiving are found as socket, close and receive are.
const stem = (word) => word.length > 6 ? word.replace(/(ing|ed|es|s)$/, "") : word.length > 3 ? word.replace(/s$/, "") : word;
// The twenty sections that say it best, and where the text of each has the first word.
window.bookFind = (asked) => {
  const typed = plain(asked).split(/\s+/).filter(Boolean)
    .map((word) => word.replace(/^["'(]+|["'),.:;!?]+$/g, "") || word);
  if (!typed.length) return [];
  const telling = typed.filter((word) => !small.has(word));
  const words = [...new Set((telling.length ? telling : typed).map(nearest).map(stem))];
  const weighed = words.map((word) => [word, index.filter((it) => has(it, word)).length])
    .filter(([, count]) => count)
    .map(([word, count]) => [word, Math.log(1 + index.length / count)]);
  if (!weighed.length) return [];
  const found = index.map((entry) => [score(entry, weighed, typed.join(" ")), entry]).filter(([sum]) => sum);
  found.sort(([a], [b]) => b - a);
  return found.slice(0, 20).map(([, { href, title, text, plainText }]) => {
    const shown = words.find((word) => plainText.includes(word)) ?? "";
    const at = Math.max(0, plainText.indexOf(shown));
    return { href, title, text, at, end: at + shown.length };
  });
};
}
