// Subtitles, cut as asr/transcript/cues.py cuts them, which says why; a test holds the two together.

const LINE_CHARACTERS = 42, MOST_LINES = 2;
const MOST_S = 7, LEAST_S = 1, FLICKER_S = 0.083, READ_PER_S = 17;
const COST_OF_CUTTING = 1, COST_OF_BREAKING = 0.15, COST_OF_A_CUE = 0.3, COST_OF_A_HURRIED_SECOND = 2;
const SHARE_BY_MARK = { ".": 0, "?": 0, "!": 0, ":": 0.2, ";": 0.2, ",": 0.4, "\u2014": 0.4 };

// The subtitles of words, as { start, end, lines, channel }.
function cuesOf(words, end) {
  const spans = channelsOf(words).flatMap(betweenPauses).sort((one, other) => one[0].start - other[0].start);
  const cues = spans.flatMap((span, at) => {
    const last = span.at(-1).end;
    while (spans[at]?.[0].start < last) at += 1;  // those that other channels have begun meanwhile
    return new Span(span, spans[at]?.[0].start ?? Math.max(end, last)).cues();
  });
  return cues.sort(byStart);
}

const byStart = (one, other) => one.start - other.start;  // equal ones stay in the order of their channels

// The words of each channel.
function channelsOf(words) {
  const channels = [...new Set(words.map(channelOf))].sort((one, other) => one - other);
  return channels.map((channel) => words.filter((word) => channelOf(word) === channel));
}

function betweenPauses(words) {
  const spans = [];
  words.forEach((word, at) => {
    if (!at || word.start - words[at - 1].end >= PAUSE_S) spans.push([]);
    spans.at(-1).push(word);
  });
  return spans;
}

// Words without a long pause between them, measured once for all possible cuts.
class Span {
  constructor(words, until) {
    this.words = words;
    this.starts = [...words.map((word) => word.start), until];
    this.spaces = words.map((word) => Number(!HAS_UNSPACED.test(word.text)));
    this.marks = [0];
    words.forEach((word, at) => this.marks.push(this.marks[at] + [...word.text].length + this.spaces[at]));
  }

  // The length of some words as a text.
  characters(begin, end) {
    return this.marks[end] - this.marks[begin] - this.spaces[end - 1];
  }

  // The cheapest division of the words: by words the cost so far, and where the last cue begins.
  cues() {
    const best = [{ cost: 0, first: 0 }];
    for (let end = 1; end <= this.words.length; end += 1) {
      let first = end - 1;
      let way = { cost: best[first].cost + this.cost(first, end), first };
      while (first > 0 && this.fits(first - 1, end)) {  // more words do not fit either
        first -= 1;
        const cost = best[first].cost + this.cost(first, end);
        if (cost <= way.cost) way = { cost, first };
      }
      best.push(way);
    }
    const cues = [];
    for (let end = this.words.length; end; end = best[end].first) cues.unshift(this.cue(best[end].first, end));
    return cues;
  }

  fits(begin, end) {
    return this.words[end - 1].end - this.starts[begin] <= MOST_S && this.linesFrom(begin, end) <= MOST_LINES;
  }

  // The lines that some words take, each as full as can be.
  linesFrom(begin, end) {
    let lines = 0;
    while (begin < end && lines <= MOST_LINES) {
      let next = begin + 1;  // a word longer than a line has its own
      while (next < end && this.characters(begin, next + 1) <= LINE_CHARACTERS) next += 1;
      begin = next;
      lines += 1;
    }
    return lines;
  }

  cost(begin, end) {
    const last = this.words[end - 1];
    let cost = COST_OF_A_CUE;
    if (end < this.words.length) {
      const pause = Math.max(0, this.starts[end] - last.end);
      cost += COST_OF_CUTTING * this.share(end - 1) * (1 - pause / PAUSE_S);
    }
    const lacking = this.readingSeconds(begin, end) - (Math.max(this.starts[end], last.end) - this.starts[begin]);
    return cost + COST_OF_A_HURRIED_SECOND * Math.max(0, lacking);
  }

  readingSeconds(begin, end) {
    return Math.max(LEAST_S, this.characters(begin, end) / READ_PER_S);
  }

  // Shown long enough to be read, unless the next words start; in lines of similar length.
  cue(begin, end) {
    const start = this.starts[begin], last = this.words[end - 1].end, following = this.starts[end];
    let stop = Math.max(last, Math.min(start + this.readingSeconds(begin, end), following));
    if (stop < following && following < stop + FLICKER_S) stop = following;
    const lines = this.lines(begin, end).map(([first, after]) => textOf(this.words.slice(first, after)));
    return { start, end: stop, lines, channel: channelOf(this.words[begin]) };
  }

  // First and end of each line: as few as can be, alike in length, but rather with a mark at the end.
  lines(begin, end) {
    let ways = new Map([[begin, { cost: 0, bounds: [] }]]);
    while (!ways.has(end)) {
      const longer = new Map();
      for (const [first, { cost, bounds }] of ways) {  // the earlier first, which wins where costs are equal
        for (let stop = first + 1; stop <= end && (stop === first + 1 || this.characters(first, stop) <= LINE_CHARACTERS); stop += 1) {
          const way = { cost: cost + this.lineCost(first, stop, end), bounds: [...bounds, [first, stop]] };
          if (!(longer.get(stop)?.cost <= way.cost)) longer.set(stop, way);
        }
      }
      ways = longer;
    }
    return ways.get(end).bounds;
  }

  // The cost of a line of a cue that ends before word `end`.
  lineCost(begin, stop, end) {
    const full = this.characters(begin, stop) / LINE_CHARACTERS;
    return stop === end ? full * full : full * full + COST_OF_BREAKING * this.share(stop - 1);
  }

  // How much of a cost the mark behind a word leaves.
  share(at) {
    const word = this.words[at];
    return isWritten(word) ? SHARE_BY_MARK[word.text.at(-1)] ?? 1 : 1;
  }
}
