// <signpost-chat>: a launcher with the chat behind it, or, with the attribute `page`, the chat in the page where it stands.
// Attributes: server, area, asking-as (parent or school), language, position (left or right), colour, text-colour, heading.
import { colours } from './colours.js'
import { Conversation } from './conversation.js'
import { h } from './dom.js'
import { Panel } from './panel.js'
import { LANGUAGES, Words } from './words.js'

/* global STYLE -- put here by bot/widget/build.py from style.css */
const SMALL = '(max-width: 640px), (max-height: 480px)'
const ROLES = ['parent', 'school']
const script = document.currentScript?.src

class SignpostChat extends HTMLElement {
  static observedAttributes = ['colour', 'text-colour', 'heading', 'position']

  async connectedCallback() {
    // A browser too old for this keeps what stands between the tags: a link to the chat, or the chat's page.
    if (this.shadow || !('adoptedStyleSheets' in document) || !window.TextDecoderStream) return
    this.shadow = this.shadowRoot ?? this.attachShadow({ mode: 'open' })
    this.shadow.append(h('slot'))
    this.server = new URL(this.getAttribute('server') || script || location.href, location.href).origin
    this.page = this.hasAttribute('page')
    const cookie = this.page && !this.hasAttribute('embed')
    this.fixed = { area: this.getAttribute('area') || undefined, role: this.#role() }
    const show = new Proxy({}, { get: (_, name) => (...news) => (name === 'unread' ? this.#unread(...news) : this.panel?.[name]?.(...news)) })
    this.conversation = new Conversation({ server: this.server, ...this.fixed, cookie }, show)
    this.kept = this.hasAttribute('kept')
    await this.speak(this.#language())
  }

  disconnectedCallback() {
    this.conversation?.close()
    this.small?.removeEventListener('change', this.fit)
    this.shadow?.replaceChildren()
    this.shadow = this.panel = this.conversation = this.words = null
  }

  attributeChangedCallback() {
    if (!this.words) return
    this.#style()
    if (!this.page) this.#launcher()
    if (this.panel) this.panel.title.textContent = this.heading || this.words.say(this.page ? 'your_chat' : 'heading')
  }

  get heading() {
    return this.getAttribute('heading')
  }

  // Draw everything in a language; the page around a whole page is asked for in that language too.
  async speak(language) {
    if (this.words && this.page) {
      const address = new URL(location.href)
      address.searchParams.set('lang', language)
      return location.assign(address)
    }
    const drawn = this.words
    const words = await Words.of(language, this.server)
    if (!this.conversation) return
    this.words = words
    if (drawn) this.conversation.keeping.write({ language })
    this.#style()
    if (this.page) return this.#become()
    const open = drawn && this.panel && !this.panel.element.hidden
    this.panel?.element.remove()
    this.panel = null
    if (!drawn) {
      this.shadow.querySelector('slot').remove()
      this.small = matchMedia(SMALL)
      this.fit = () => this.#launcher()
      this.small.addEventListener('change', this.fit)
    }
    this.#launcher()
    if (open || (this.conversation.keeping.read().open && !this.small.matches)) this.open(Boolean(open))
    else this.conversation.rest()
  }

  // Show the chat; the focus goes to its heading when somebody asked for it.
  open(focus = true) {
    if (!this.panel) {
      this.panel = new Panel(this.conversation, this.words, this)
      this.shadow.append(this.panel.element)
    }
    this.panel.element.hidden = false
    this.conversation.keeping.write({ open: true })
    this.#unread(0)
    this.conversation.open()
    this.conversation.markSeen()
    this.panel.settleIn()
    if (focus) this.panel.focusTitle()
  }

  close() {
    this.panel.element.hidden = true
    this.panel.speech.stop()
    this.conversation.keeping.write({ open: false })
    this.conversation.rest()
    this.#launcher()
    this.launcher.focus()
  }

  // A page of the service, in the area, role and language chosen here.
  link(path) {
    const address = new URL(path, this.server)
    if (path === '/chat') {
      const { area, role } = this.conversation.about
      for (const [name, value] of Object.entries({ area, role })) if (value) address.searchParams.set(name, value)
    }
    if (this.words.given.code !== 'en') address.searchParams.set('lang', this.words.given.code)
    return address
  }

  // The page's own chat is replaced once this one has everything; what was being written goes along.
  loaded() {
    const slot = this.page && this.shadow.querySelector('slot')
    if (!slot) return
    const written = this.querySelector('textarea')
    const focused = written && document.activeElement === written
    if (written?.value) this.panel.text.value = written.value
    slot.remove()
    this.panel.element.hidden = false
    this.replaceChildren()
    if (focused) this.panel.text.focus({ preventScroll: true })
    this.panel.settleIn()
  }

  // The cookie is gone: a new page brings a new one. Not for ever, should cookies be refused.
  lost() {
    const { reloaded = 0 } = this.conversation.keeping.read()
    if (Date.now() - reloaded < 30000) return
    this.conversation.keeping.write({ reloaded: Date.now() })
    location.reload()
  }

  #become() {
    this.panel = new Panel(this.conversation, this.words, this)
    this.panel.element.hidden = true
    this.shadow.append(this.panel.element)
    this.conversation.open()
  }

  #launcher() {
    const text = this.heading || this.words.say('heading')
    const open = Boolean(this.panel && !this.panel.element.hidden)
    const label = [h('span', {}, text), this.waiting ? h('span', { class: 'count' }, this.words.say('new', { count: this.waiting })) : null]
    const common = { class: 'launcher', part: 'launcher', lang: this.words.given.code, dir: this.words.given.direction }
    const made =
      this.small.matches && !open
        ? h('a', { ...common, href: this.link('/chat') }, label)
        : h('button', { ...common, type: 'button', 'aria-expanded': String(open), onclick: () => (this.panel && !this.panel.element.hidden ? this.close() : this.open()) }, label)
    const focused = this.launcher && this.shadow.activeElement === this.launcher
    if (this.launcher) this.launcher.replaceWith(made)
    else this.shadow.prepend(made)
    this.launcher = made
    if (focused) made.focus()
  }

  #unread(count) {
    this.waiting = count
    if (this.launcher) this.#launcher()
  }

  #style() {
    const sheet = new CSSStyleSheet()
    sheet.replaceSync(STYLE + colours(this.getAttribute('colour'), this.getAttribute('text-colour')))
    this.shadow.adoptedStyleSheets = [sheet]
  }

  // `role` on an element means another thing to screen readers, so it is taken off again.
  #role() {
    const given = this.getAttribute('asking-as') ?? this.getAttribute('role')
    if (ROLES.includes(this.getAttribute('role'))) this.removeAttribute('role')
    return ROLES.includes(given) ? given : undefined
  }

  #language() {
    const kept = this.page ? null : this.conversation.keeping.read().language
    const wished = kept ?? this.getAttribute('language') ?? document.documentElement.lang
    const language = (wished || 'en').slice(0, 2).toLowerCase()
    return LANGUAGES.includes(language) ? language : 'en'
  }
}

if (!customElements.get('signpost-chat')) customElements.define('signpost-chat', SignpostChat)
