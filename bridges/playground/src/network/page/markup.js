// The Playground's markup as DOM nodes. Text only ever becomes text nodes: nothing a person writes is read as HTML.
// The same rules as convert/markup.rs.

const STYLES = { '*': 'strong', '_': 'em', '~': 's' };
const MAX_DEPTH = 8;

const isWord = (c) => c !== undefined && /[\p{L}\p{N}]/u.test(c);

// Where a style that opens at `at` closes, or -1. A mark closes after something that is no space and before something that is no word.
function closing(text, at, mark) {
  for (let i = at + 1; i < text.length; i++) {
    if (text[i] === '\\') { i++; continue; }
    if (text[i] === '\n') return -1;
    if (text[i] === '`') {
      const end = text.indexOf('`', i + 1);
      if (end > i + 1) { i = end; continue; }
    }
    if (text[i] === mark && i > at + 1 && !/\s/.test(text[i - 1]) && !isWord(text[i + 1])) return i;
  }
  return -1;
}

function element(name, ...children) {
  const node = document.createElement(name);
  node.append(...children);
  return node;
}

function inline(text, depth) {
  const out = document.createDocumentFragment();
  let plain = '';
  const flush = () => { if (plain) out.append(plain); plain = ''; };
  for (let i = 0; i < text.length; i++) {
    const c = text[i];
    if (c === '\\' && i + 1 < text.length && /[*_~`[\]()@\\>|]/.test(text[i + 1])) { plain += text[++i]; continue; }
    if (c === '`') {
      const end = text.indexOf('`', i + 1);
      if (end > i + 1) { flush(); out.append(element('code', text.slice(i + 1, end))); i = end; continue; }
    }
    if (STYLES[c] && depth < MAX_DEPTH && !isWord(text[i - 1]) && text[i + 1] !== undefined && !/\s/.test(text[i + 1])) {
      const end = closing(text, i, c);
      if (end > 0) { flush(); out.append(element(STYLES[c], inline(text.slice(i + 1, end), depth + 1))); i = end; continue; }
    }
    if (c === '[') {
      const link = /^\[((?:[^\]\\\n]|\\.)+)\]\((https?:\/\/[^\s()]+)\)/.exec(text.slice(i, i + 4096));
      if (link) {
        flush();
        const a = element('a', inline(link[1], MAX_DEPTH));
        a.href = link[2];
        a.rel = 'noopener noreferrer';
        a.target = '_blank';
        out.append(a);
        i += link[0].length - 1;
        continue;
      }
    }
    plain += c;
  }
  flush();
  return out;
}

// Lines that begin with "> " are quoted; neighbours make one quote.
function quotes(out, text) {
  for (const piece of text.split(/((?:^> .*(?:\n|$))+)/m)) {
    if (/^> /.test(piece)) out.append(element('blockquote', inline(piece.replace(/^> /gm, '').replace(/\n$/, ''), 0)));
    else if (piece) out.append(inline(piece, 0));
  }
}

export function render(text) {
  const out = document.createDocumentFragment();
  const parts = text.split(/^```[^\n`]*\n([\s\S]*?)\n?```$/m);
  parts.forEach((part, n) => {
    if (n % 2) out.append(element('pre', element('code', part)));
    else if (part) quotes(out, part);
  });
  return out;
}
