/** Parameters of a header or URI by lower-case name; a parameter without `=` is undefined. Values are as they were sent. */
export type Params = Map<string, string | undefined>;

const whitespace = /[ \t]*/y;
const token = /[A-Za-z0-9\-.!%*_+`'~]+/y;
const quotedString = /"(?:[^"\\]|\\[\s\S])*"/y;
/** What a parameter may hold besides tokens: hosts with ports and bracketed addresses. */
const parameterValue = /[A-Za-z0-9\-.!%*_+`'~:[\]/&$@?=]+/y;

/** Reads the text of a header from left to right; every method returns undefined when something else stands there. */
export class Cursor {
  readonly text: string;
  at = 0;

  constructor(text: string) {
    this.text = text;
  }

  get atEnd(): boolean {
    this.skipWhitespace();
    return this.at >= this.text.length;
  }

  skipWhitespace(): void {
    this.match(whitespace);
  }

  /** The text that a sticky pattern matches here. */
  match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.text)?.[0];
    if (found !== undefined) this.at += found.length;
    return found;
  }

  /** Whether `character` stands next, which is then passed, with the whitespace around it. */
  accept(character: string): boolean {
    const from = this.at;
    this.skipWhitespace();
    if (this.text[this.at] !== character) {
      this.at = from;
      return false;
    }
    this.at++;
    this.skipWhitespace();
    return true;
  }

  token(): string | undefined {
    return this.match(token);
  }

  /** A quoted string, with its quotes. */
  quoted(): string | undefined {
    return this.match(quotedString);
  }

  /** Everything up to `character`, which is passed but not returned. */
  until(character: string): string | undefined {
    const end = this.text.indexOf(character, this.at);
    if (end < 0) return undefined;
    const found = this.text.slice(this.at, end);
    this.at = end + 1;
    return found;
  }

  /** `;name=value;name`; undefined when a semicolon is not followed by a parameter. */
  params(): Params | undefined {
    const params: Params = new Map();
    while (this.accept(';')) {
      const name = this.token();
      if (name === undefined) return undefined;
      let value: string | undefined;
      if (this.accept('=')) {
        value = this.quoted() ?? this.match(parameterValue);
        if (value === undefined) return undefined;
      }
      // The first of a name counts: a second tag or branch must not replace it.
      if (!params.has(name.toLowerCase())) params.set(name.toLowerCase(), value);
    }
    return params;
  }
}

export function formatParams(params: Params): string {
  let text = '';
  for (const [name, value] of params) text += value === undefined ? `;${name}` : `;${name}=${value}`;
  return text;
}

/** The content of a quoted string; other text is returned as it is. */
export function unquote(text: string): string {
  if (text.length < 2 || !text.startsWith('"') || !text.endsWith('"')) return text;
  return text.slice(1, -1).replace(/\\([\s\S])/g, '$1');
}

/** Text as a quoted string. Line breaks, which would end the header, become spaces. */
export function quote(text: string): string {
  return `"${text.replace(/[\r\n]+/g, ' ').replace(/["\\]/g, '\\$&')}"`;
}

/** Splits a header's value at commas that are neither in quotes nor in angle brackets. */
export function splitList(value: string): string[] {
  const parts: string[] = [];
  let from = 0;
  let quoted = false;
  let bracketed = false;
  for (let i = 0; i < value.length; i++) {
    const character = value[i];
    if (quoted && character === '\\') i++;
    else if (character === '"') quoted = !quoted;
    else if (quoted) continue;
    else if (character === '<') bracketed = true;
    else if (character === '>') bracketed = false;
    else if (character === ',' && !bracketed) {
      parts.push(value.slice(from, i).trim());
      from = i + 1;
    }
  }
  parts.push(value.slice(from).trim());
  return parts;
}
