// The chat as people see it: header, options, messages, what is going on, and the box to write in.
import { h, put } from './dom.js'
import { MessageView } from './messages.js'
import { options } from './options.js'
import { Speech } from './speech.js'

const LONGEST = 4000
const QUIET = 700
const NEAR = 80

export class Panel {
  #fresh
  #history
  #shared
  #menuButton
  #newer
  #scroller
  #shorter
  #again
  #workingSince
  #drafting

  // `host` has server, page, heading, fixed ({area, role} where the page chose them), close(), speak(language) and link(path).
  constructor(conversation, words, host) {
    Object.assign(this, { conversation, words, host })
    this.speech = new Speech()
    this.view = new MessageView(words, host.server, {
      choose: (choice, entry) => this.#choose(choice, entry),
      canRead: () => Boolean(this.speech.voice('en')),
      read: (button, text, label) => this.speech.toggle(button, text, 'en', label),
    })
    this.#build()
    this.speech.whenReady(() => this.redraw())
  }

  #build() {
    const say = (name, values) => this.words.say(name, values)
    this.title = h('h2', { id: 'title', tabindex: -1 }, this.host.page ? say('your_chat') : this.host.heading || say('heading'))
    this.menu = options(this)
    this.#menuButton = h('button', { type: 'button', class: 'plain', 'aria-expanded': 'false', 'aria-controls': 'options', onclick: () => this.toggleMenu() }, say('menu'))
    this.about = h('div', { class: 'about' })
    this.#history = h('ol', { class: 'messages history' })
    this.#fresh = h('ol', { class: 'messages fresh' })
    this.log = h('div', { role: 'log', 'aria-label': say('your_chat'), 'aria-relevant': 'additions' }, this.#fresh)
    this.#newer = h('button', { type: 'button', class: 'newer', hidden: true, onclick: () => this.#toNewest(true) }, say('newer'))
    this.#scroller = h('div', { class: 'scroll', ...(!this.host.page && { tabindex: 0, role: 'group', 'aria-label': say('your_chat') }) }, this.about, this.#history, this.log)
    this.status = h('div', { role: 'status', class: 'status' })
    this.dots = h('span', { class: 'dots', 'aria-hidden': 'true', hidden: true }, h('i'), h('i'), h('i'))
    this.#again = h('button', { type: 'button', class: 'plain', hidden: true, onclick: () => this.conversation.wake() }, say('try_again'))
    this.text = h('textarea', { id: 'text', rows: 2, 'aria-describedby': 'hint', dir: 'auto', oninput: () => this.#drafted(), onkeydown: (event) => this.#key(event) })
    this.error = h('p', { id: 'error', class: 'error' })
    this.#shorter = h('button', { type: 'button', class: 'second', hidden: true, onclick: () => this.#send('Shorter, please') }, say('shorter'))
    this.form = h(
      'form',
      { class: 'write', novalidate: true, onsubmit: (event) => this.#submit(event) },
      h('label', { for: 'text' }, say('message')),
      h('p', { id: 'hint', class: 'quiet' }, say('hint')),
      h('div', { role: 'alert' }, this.error),
      this.text,
      h('div', { class: 'row' }, h('button', { class: 'send' }, say('send')), this.#shorter)
    )
    const close = this.host.page ? null : h('button', { type: 'button', class: 'plain', onclick: () => this.host.close() }, say('close'))
    this.element = h(
      'section',
      { class: 'panel', 'aria-labelledby': 'title', lang: this.words.given.code, dir: this.words.given.direction, onkeydown: (event) => this.#escape(event) },
      h('header', {}, this.title, h('div', { class: 'row' }, this.#menuButton, close)),
      this.menu,
      h('p', { class: 'emergency' }, h('strong', {}, say('emergency'))),
      this.#scroller,
      h('div', { class: 'going-on' }, this.status, this.dots, this.#again, this.#newer),
      this.form
    )
    this.#aboutThis()
    this.text.value = this.#shared = this.conversation.keeping.read().draft
    this.resize(this.conversation.keeping.read().size ?? 0)
    this.redraw()
  }

  resize(size) {
    this.element.dataset.size = size
  }

  // All messages again, quietly: in another language, or when voices came.
  redraw() {
    this.#history.replaceChildren()
    this.#fresh.replaceChildren()
    this.#add([...this.conversation.messages.values()].sort((a, b) => a.seq - b.seq), this.#history)
    this.outbox(this.conversation.outbox, false)
  }

  toggleMenu(open = this.menu.hidden) {
    this.menu.hidden = !open
    this.#menuButton.setAttribute('aria-expanded', String(open))
    if (open) this.menu.querySelector('button, select, a, input').focus()
  }

  // The panel has just come into view.
  settleIn() {
    if (!this.about.hidden || location.hash === '#maincontent') return
    this.#toNewest(false)
  }

  focusTitle() {
    this.title.focus()
  }

  // --- what the conversation tells ---

  messages(fresh, live) {
    const near = this.#isNear()
    const first = this.#add(fresh, live ? this.#fresh : this.#history)
    if (live && fresh.some((m) => m.author !== 'parent')) {
      if (['slow', 'sent'].includes(this.told)) this.notice('')
      if (near) this.#show(first)
      else this.#newer.hidden = false
    } else if (near) this.#toNewest(false)
  }

  outbox(items, waits) {
    for (const entry of this.#fresh.querySelectorAll('.pending')) {
      // another tab sent it
      if (!items.some((item) => item.client_id === entry.dataset.clientId)) entry.remove()
    }
    const known = new Set([...this.conversation.messages.values()].map((message) => message.client_id))
    for (const item of items.filter((one) => !known.has(one.client_id))) {
      const entry = this.#pendingEntry(item.client_id)
      if (entry) this.view.fate(entry, waits || entry.classList.contains('waits'))
      else {
        this.#fresh.append(this.view.pending(item, waits))
        this.#spoken(item.text, Infinity, item.choice)
        this.#toNewest(false)
      }
    }
    if (waits) this.#fresh.querySelectorAll('.pending').forEach((entry) => this.view.fate(entry, true))
    this.#furnish()
  }

  sent(clientId, seq, at) {
    const entry = this.#pendingEntry(clientId)
    if (!entry) return
    const known = this.#entry(seq)
    if (known) entry.remove()
    else this.view.sent(entry, seq, at)
  }

  refused(item, message) {
    this.#pendingEntry(item.client_id)?.remove()
    if (!item.choice) this.text.value = [item.text, this.text.value].filter(Boolean).join('\n')
    this.#drafted()
    this.#wrong(message || this.words.say('offline'))
    this.notice('')
  }

  notice(name) {
    this.told = name
    this.#again.hidden = !['offline', 'away', 'not_loaded'].includes(name)
    this.#tell()
  }

  working() {
    const works = this.conversation.isWorking && !this.conversation.outbox.some((item) => this.#pendingEntry(item.client_id)?.classList.contains('waits'))
    this.dots.hidden = !works
    if (works === Boolean(this.#workingSince)) return
    clearTimeout(this.#workingSince)
    this.#workingSince = works ? setTimeout(() => this.#tell(), QUIET) : null
    if (!works) this.#tell()
  }

  standing({ queries, writing, telegram }) {
    this.telegram.hidden = !telegram
    if (this.writer !== writing) {
      this.writer = writing
      this.#tell()
    }
    for (const query of queries) {
      for (const entry of this.element.querySelectorAll('.message')) {
        if (entry.querySelector(`[data-reference="${CSS.escape(query.reference)}"]`)) this.view.standing(entry, query)
      }
    }
  }

  draft(text) {
    // what is being written here at the same time stays
    if (this.text.value === this.#shared) this.text.value = this.#shared = text
  }

  emptied() {
    this.#history.replaceChildren()
    this.#fresh.replaceChildren()
    this.#furnish()
  }

  cleared() {
    this.text.value = ''
    this.#aboutThis()
    this.notice('cleared')
  }

  started() {
    this.about.querySelectorAll('select').forEach((select) => (select.disabled = true))
  }

  loaded() {
    if (this.told === 'not_loaded') this.notice('')
    this.host.loaded?.()
  }

  lost() {
    this.host.lost?.()
  }

  // --- inside ---

  #aboutThis() {
    const { given } = this.words
    const lines = given.about.map((line) => h('li', {}, line))
    const notes = [given.answers_in_english, given.checked_by ? null : given.unchecked].filter((note) => note && given.code !== 'en')
    this.about.replaceChildren(h('h3', {}, given.about_title), h('ul', {}, lines), ...notes.map((note) => h('p', { class: 'quiet' }, note)))
    if (!this.host.page && !this.conversation.exists) this.#whoAsks()
    this.#furnish()
  }

  // Area and role are asked for only where the host page did not choose them.
  async #whoAsks() {
    const { about } = this.conversation
    const select = (name, entries) => {
      const list = h('select', { id: name, onchange: () => (about[name] = list.value) }, entries.map(([value, text]) => h('option', { value, selected: value === about[name] }, text)))
      about[name] = list.value
      return h('div', {}, h('label', { for: name }, this.words.say(name)), list)
    }
    const chosen = []
    if (!this.host.fixed.area) {
      try {
        const answer = await fetch(`${this.host.server}/widget/areas.json`, { credentials: 'omit' })
        const { areas, usual } = await answer.json()
        about.area ??= usual
        chosen.push(select('area', areas.map(({ id, name }) => [id, name])))
      } catch {
        about.area = undefined
      }
    }
    if (!this.host.fixed.role) chosen.push(select('role', Object.entries(this.words.given.roles)))
    if (!this.conversation.exists) this.about.append(...chosen)
  }

  #add(messages, list) {
    let first
    for (const message of messages) {
      if (this.#entry(message.seq)) continue
      const entry = this.view.entry(message)
      first ??= entry
      if (message.author === 'parent') this.#spoken(message.text, message.seq)
      const later = [...list.children].find((one) => one.classList.contains('pending') || Number(one.dataset.seq) > message.seq)
      list.insertBefore(entry, later ?? null)
      this.#greet(message, entry)
    }
    this.#furnish()
    return first
  }

  // Staff come into a chat by name, unless a message of the system said so.
  #greet({ author, name }, entry) {
    const before = [...this.element.querySelectorAll('.message:not(.pending), .joined')].filter((one) => one.compareDocumentPosition(entry) & Node.DOCUMENT_POSITION_FOLLOWING).pop()
    if (author === 'staff' && name && !before?.matches('.system') && !this.greeted?.has(name)) entry.before(this.view.joined(name))
    if (author === 'staff') (this.greeted ??= new Set()).add(name)
  }

  // What Signpost offered before the parent spoke is over. A question of staff (was this answered?) stays until it is answered: by this
  // `choice`, or by one of its titles where only one question has it.
  #spoken(text, seq = Infinity, choice = null) {
    const titled = (entry) => [...entry.querySelectorAll('.choice')].some((button) => (choice ? button.dataset.id === choice : button.textContent === text))
    const open = [...this.element.querySelectorAll('.message')].filter((entry) => !(Number(entry.dataset.seq) > seq) && entry.querySelector('.choices'))
    const [answered, ...others] = open.filter((entry) => !entry.matches('.assistant') && titled(entry))
    if (answered && !others.length) this.view.settle(answered, text)
    for (const entry of open.filter((one) => one.matches('.assistant'))) this.view.settle(entry, titled(entry) ? text : null)
  }

  #furnish() {
    if (!this.#fresh) return
    const all = [...this.element?.querySelectorAll('.message') ?? []]
    const spoke = all.some((entry) => entry.matches('.parent'))
    this.about.hidden = spoke
    const answered = all.filter((entry) => entry.matches('.assistant')).length > (this.conversation.messages.has(1) ? 1 : 0)
    if (this.#shorter) this.#shorter.hidden = !(spoke && answered)
  }

  #entry(seq) {
    return this.element.querySelector(`.message[data-seq="${seq}"]`)
  }

  #pendingEntry(clientId) {
    return this.#fresh.querySelector(`.pending[data-client-id="${CSS.escape(clientId)}"]`)
  }

  #choose(choice, entry) {
    this.view.settle(entry, choice.title)
    this.conversation.choose(choice)
    this.#rest()
  }

  // After a button is gone the focus goes on to the box; on touch screens to the messages, so that no keyboard jumps up.
  #rest() {
    if (matchMedia('(pointer: coarse)').matches) (this.#fresh.lastElementChild ?? this.title).focus({ preventScroll: true })
    else this.text.focus({ preventScroll: true })
  }

  #submit(event) {
    event.preventDefault()
    const text = this.text.value.trim()
    if (!text) return this.#wrong(this.words.say('empty'))
    if (text.length > LONGEST) return this.#wrong(this.words.say('too_long'))
    this.text.value = this.#shared = ''
    clearTimeout(this.#drafting)
    this.#send(text)
    this.text.focus({ preventScroll: true })
  }

  #send(text) {
    this.#wrong('')
    if (!['offline', 'away', 'busy'].includes(this.told)) this.notice('')
    this.conversation.say(text)
  }

  #key(event) {
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing || matchMedia('(pointer: coarse)').matches) return
    event.preventDefault()
    this.form.requestSubmit()
  }

  #escape(event) {
    if (event.key !== 'Escape' || event.isComposing) return
    if (!this.menu.hidden) {
      this.toggleMenu(false)
      this.#menuButton.focus()
    } else if (!this.host.page) this.host.close()
    event.stopPropagation()
  }

  #drafted() {
    clearTimeout(this.#drafting)
    this.#drafting = setTimeout(() => this.conversation.draft((this.#shared = this.text.value)), 200)
  }

  #wrong(message) {
    this.error.replaceChildren(...(message ? [h('span', { class: 'hidden' }, `${this.words.say('problem')} `), message] : []))
    this.text.toggleAttribute('aria-invalid', Boolean(message))
    this.text.setAttribute('aria-describedby', message ? 'hint error' : 'hint')
    if (message) this.text.focus()
  }

  #tell() {
    const works = this.conversation.isWorking && !['offline', 'busy', 'slow'].includes(this.told)
    const waits = this.writer ? this.words.say('writing', { name: this.writer }) : ''
    put(this.status, works ? this.words.say('working') : this.told ? this.words.say(this.told) : waits)
  }

  // --- where the reader is ---

  get #scroll() {
    const own = getComputedStyle(this.#scroller).overflowY === 'auto'
    return own ? this.#scroller : this.host.page ? document.scrollingElement : this.element
  }

  #isNear() {
    const { scrollTop, scrollHeight, clientHeight } = this.#scroll
    return scrollHeight - scrollTop - clientHeight < NEAR + (this.host.page ? this.form.offsetHeight : 0) || this.told === 'sent' || this.conversation.isWorking
  }

  // From its beginning, where it is longer than the window.
  #show(entry) {
    const box = this.#scroll
    const top = entry.getBoundingClientRect().top - (box === document.scrollingElement ? 0 : box.getBoundingClientRect().top)
    const room = box.clientHeight - (this.host.page ? this.form.offsetHeight : 0)
    box.scrollTop += Math.min(top - 8, Math.max(0, top + entry.offsetHeight + 16 - room))
  }

  #toNewest(focus) {
    this.#newer.hidden = true
    const last = this.#fresh.lastElementChild ?? this.#history.lastElementChild
    if (!last) return
    this.#show(last)
    if (focus) last.focus({ preventScroll: true })
  }
}
