// The interface's words: English comes with the script, the other languages from the server, one file each.
/* global ENGLISH -- put here by bot/widget/build.py from bot/widget/words/en.json */
const english = ENGLISH

export const LANGUAGES = ['en', 'pl', 'pt', 'ro', 'uk', 'ar', 'bn']

export class Words {
  constructor(given = english) {
    this.given = { ...english, ...given }
  }

  // The words of `language`; English where they cannot be had.
  static async of(language, server) {
    if (language === 'en' || !LANGUAGES.includes(language)) return new Words()
    try {
      const answer = await fetch(`${server}/widget/words/${language}.json`, { credentials: 'omit' })
      return new Words(answer.ok ? await answer.json() : english)
    } catch {
      return new Words()
    }
  }

  say(name, values = {}) {
    return String(this.given[name] ?? name).replace(/\{(\w+)\}/g, (whole, key) => values[key] ?? whole)
  }

  day(date) {
    return this.#date(`${date}T12:00:00Z`, { weekday: 'long', day: 'numeric', month: 'long', year: 'numeric' })
  }

  moment(at) {
    return this.#date(at, { weekday: 'long', day: 'numeric', month: 'long', hour: 'numeric', minute: '2-digit' })
  }

  #date(text, options) {
    const locale = this.given.code === 'en' ? 'en-GB' : this.given.code
    // England writes no comma after the day of the week
    return new Intl.DateTimeFormat(locale, { timeZone: 'Europe/London', ...options }).format(new Date(text)).replace(/^(\w+day),/, '$1')
  }
}
