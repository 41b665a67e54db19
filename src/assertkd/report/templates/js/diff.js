// Differences between a reference and an answer, token by token.
const TOKEN = /\s*(?:"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|\w+|[^\w\s])/g;
const MOST_CELLS = 400000; // Of the table below; longer texts are compared by common start and end.

function tokensOf(text) {
  return text.match(TOKEN) ?? [];
}

// Returns [kind, text] pieces: "same" and "extra" of the answer, "gone" of the reference.
function differences(reference, answer) {
  const [referenceTokens, answerTokens] = [tokensOf(reference), tokensOf(answer)];
  const [from, to] = [referenceTokens.map((one) => one.trim()), answerTokens.map((one) => one.trim())];
  let start = 0;
  while (start < from.length && start < to.length && from[start] === to[start]) start++;
  let end = 0;
  while (end < from.length - start && end < to.length - start && from.at(-1 - end) === to.at(-1 - end)) end++;
  const pieces = [];
  const add = (kind, text) => {
    const last = pieces.at(-1);
    if (last?.[0] === kind) last[1] += text;
    else pieces.push([kind, text]);
  };
  for (const token of answerTokens.slice(0, start)) add("same", token);
  const middle = [from.slice(start, from.length - end), to.slice(start, to.length - end)];
  let [row, column] = [0, 0];
  for (const [keptRow, keptColumn] of [...commonTokens(...middle), middle.map((one) => one.length)]) {
    for (; row < keptRow; row++) add("gone", referenceTokens[start + row]);
    for (; column < keptColumn; column++) add("extra", answerTokens[start + column]);
    if (keptColumn < middle[1].length) add("same", answerTokens[start + column]);
    row++;
    column++;
  }
  for (const token of end ? answerTokens.slice(-end) : []) add("same", token);
  return pieces;
}

// Returns the places [in one, in other] of a longest common subsequence.
function commonTokens(one, other) {
  const [n, m] = [one.length, other.length];
  if (!n || !m || n * m > MOST_CELLS) return [];
  const lengths = Array.from({ length: n + 1 }, () => new Uint16Array(m + 1));
  for (let i = n - 1; i >= 0; i--) {
    for (let j = m - 1; j >= 0; j--) {
      lengths[i][j] =
        one[i] === other[j] ? lengths[i + 1][j + 1] + 1 : Math.max(lengths[i + 1][j], lengths[i][j + 1]);
    }
  }
  const places = [];
  for (let [i, j] = [0, 0]; i < n && j < m; ) {
    if (one[i] === other[j]) places.push([i++, j++]);
    else if (lengths[i + 1][j] >= lengths[i][j + 1]) i++;
    else j++;
  }
  return places;
}
