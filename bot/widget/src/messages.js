// One message as a list entry: who said it, its text, its card, its sources and its buttons.
import { h, put } from './dom.js'
import { blocks, prose } from './prose.js'

const LONGEST_TITLE = 90

export class MessageView {
  // `act` has choose(choice, entry) and, where the browser can read aloud, read(button, text).
  constructor(words, server, act) {
    Object.assign(this, { words, server, act })
  }

  entry(message) {
    const { seq, author, text, outcome, query, sources, choices } = message
    const mine = author === 'parent'
    const spoken = h('div', { class: 'text', dir: 'auto', lang: mine || this.words.given.code === 'en' ? null : 'en' })
    if (outcome === 'urgent') spoken.append(this.#urgent(text))
    else spoken.append(...[message.result ? h('p', { class: 'result' }, this.words.say('result')) : null, ...prose(blocks(text), !mine)].filter(Boolean))
    const entry = h('li', { class: `message ${author}`, 'data-seq': seq, tabindex: -1 }, this.#who(message), spoken)
    if (query) entry.append(author === 'staff' ? h('p', { class: 'quiet' }, this.words.say('about_query', query)) : this.#query(query))
    if (query) entry.append(h('p', { class: 'quiet' }, h('a', { href: `${this.server}/return` }, this.words.say('return'))))
    if (sources?.length) entry.append(this.#sources(sources))
    if (choices?.length) entry.append(this.#choices(choices, entry))
    if (!mine && this.act.canRead()) entry.append(this.#aloud(text))
    return entry
  }

  // A message that is on its way: `waits` if it could not be sent yet.
  pending({ client_id, text }, waits) {
    const entry = h('li', { class: 'message parent pending', 'data-client-id': client_id, tabindex: -1 })
    entry.append(this.#who({ author: 'parent' }), h('div', { class: 'text', dir: 'auto' }, prose(blocks(text), false)), h('p', { class: 'fate' }))
    this.fate(entry, waits)
    return entry
  }

  fate(entry, waits) {
    put(entry.querySelector('.fate'), this.words.say(waits ? 'not_sent' : 'sending'))
    entry.classList.toggle('waits', waits)
  }

  sent(entry, seq, at) {
    entry.classList.remove('pending', 'waits')
    entry.querySelector('.who').append(this.#time(at))
    entry.dataset.seq = seq
    entry.querySelector('.fate')?.remove()
  }

  joined(name) {
    return h('li', { class: 'joined' }, this.words.say('joined', { name }))
  }

  // The buttons of an entry become words, the one that was pressed among them.
  settle(entry, title) {
    const choices = entry.querySelector('.choices')
    if (!choices) return
    if (title) choices.replaceWith(h('p', { class: 'quiet' }, this.words.say('chosen', { title })))
    else choices.remove()
  }

  standing(entry, query) {
    const words = this.words.given.states[query.state]
    if (words) put(entry.querySelector('.state'), words)
    if (query.due_on) put(entry.querySelector('.due'), this.words.day(query.due_on))
  }

  #who({ author, name, at }) {
    const sender = author === 'parent' ? this.words.say('you') : author === 'staff' ? name : 'Signpost'
    const kind = author === 'staff' ? 'staff' : author === 'assistant' ? 'program' : null
    return h(
      'p',
      { class: 'who' },
      h('strong', { dir: 'auto' }, sender),
      kind && h('span', { class: `kind ${kind}` }, this.words.say(kind)),
      at && this.#time(at)
    )
  }

  #time(at) {
    return h('time', { datetime: at }, this.words.moment(at))
  }

  #urgent(text) {
    const parts = blocks(text)
    const titled = parts.length > 1 && !parts[0].isList && parts[0].lines.length === 1 && parts[0].lines[0].length <= LONGEST_TITLE
    const title = titled ? parts[0].lines[0] : this.words.say('urgent_title')
    return h(
      'div',
      { class: 'care' },
      h('h3', {}, h('span', { class: 'hidden' }, `${this.words.say('urgent')} `), title),
      h('div', { class: 'care-text' }, prose(titled ? parts.slice(1) : parts))
    )
  }

  #query({ reference, state, lead, due_on }) {
    const fact = (name, value, kind) => h('div', {}, h('dt', {}, this.words.say(name)), h('dd', { class: kind, dir: 'auto' }, value))
    return h(
      'dl',
      { class: 'query', 'data-reference': reference },
      fact('reference', h('strong', {}, reference)),
      fact('lead', lead),
      due_on && fact('due', this.words.day(due_on), 'due'),
      this.words.given.states[state] && fact('state', this.words.given.states[state], 'state')
    )
  }

  #sources(sources) {
    const page = ({ title, url }) =>
      /^(https?:\/\/|\/)/.test(url ?? '')
        ? h('a', { href: new URL(url, `${this.server}/`), target: '_blank', rel: 'noopener noreferrer' }, `${title || url} ${this.words.say('new_tab')}`)
        : title
    return h(
      'details',
      { class: 'sources' },
      h('summary', {}, this.words.say('source')),
      h('ul', { lang: 'en', dir: 'ltr' }, sources.map((source) => h('li', {}, h('blockquote', {}, `“${source.quote}”`), page(source) ?? '')))
    )
  }

  #choices(choices, entry) {
    const pick = (choice) => h('li', {}, h('button', { type: 'button', class: 'choice', 'data-id': choice.id, dir: 'auto', onclick: () => this.act.choose(choice, entry) }, choice.title))
    return h('ul', { class: 'choices', 'aria-label': this.words.say('choose') }, choices.map(pick))
  }

  #aloud(text) {
    const button = h('button', { type: 'button', class: 'plain read', onclick: () => this.act.read(button, text, (reads) => (button.textContent = this.words.say(reads ? 'stop' : 'read'))) }, this.words.say('read'))
    return button
  }
}
