// Language, text size, whether the chat stays on this device, and ways out of it.
import { h } from './dom.js'
import { LANGUAGES } from './words.js'

export function options(panel) {
  const { words, host } = panel
  const say = (name) => words.say(name)
  const link = (path, name) => h('li', {}, h('a', { href: host.link(path) }, say(name)))
  return h(
    'div',
    { id: 'options', class: 'options', hidden: true },
    h('button', { type: 'button', class: 'second', onclick: () => person(panel) }, say('person')),
    language(panel),
    sizes(panel),
    keep(panel),
    clear(panel),
    (panel.telegram = telegram(panel)),
    h(
      'ul',
      { class: 'links' },
      link('/return', 'return'),
      link('/guides', 'guides'),
      host.page ? null : link('/chat', 'own_page'),
      link('/privacy', 'privacy'),
      link('/accessibility', 'accessibility')
    )
  )
}

function person(panel) {
  panel.toggleMenu(false)
  panel.conversation.say('I want to talk to a person')
  panel.text.focus({ preventScroll: true })
}

function language({ words, host }) {
  const code = words.given.code
  const list = h('select', { id: 'language' }, LANGUAGES.map((id) => h('option', { value: id, lang: id, selected: id === code }, new Intl.DisplayNames(id, { type: 'language' }).of(id))))
  return h(
    'div',
    { class: 'row' },
    h('label', { for: 'language' }, words.say('language_name')),
    list,
    h('button', { type: 'button', class: 'second', onclick: () => host.speak(list.value) }, words.say('apply'))
  )
}

function sizes(panel) {
  const { conversation, words } = panel
  const chosen = conversation.keeping.read().size ?? 0
  const buttons = words.given.sizes.map((name, size) =>
    h('button', { type: 'button', class: 'second', 'aria-pressed': String(size === chosen), onclick: () => pick(size) }, name)
  )
  const pick = (size) => {
    conversation.keeping.write({ size })
    panel.resize(size)
    buttons.forEach((button, n) => button.setAttribute('aria-pressed', String(n === size)))
  }
  return h('div', { class: 'row', role: 'group', 'aria-labelledby': 'size' }, h('span', { id: 'size' }, words.say('size')), buttons)
}

function keep(panel) {
  const { conversation, words } = panel
  const box = h('input', { type: 'checkbox', id: 'keep', 'aria-describedby': 'keep-hint', onchange: () => change() })
  box.checked = conversation.keeping.onDevice || panel.host.kept
  const hint = h('p', { id: 'keep-hint', class: 'quiet' }, words.say('keep_hint'))
  const change = async () => {
    const wanted = box.checked
    try {
      const done = await conversation.keepOnDevice(wanted)
      if (!done) box.checked = !wanted
      panel.notice(done ? (wanted ? 'kept' : '') : 'kept_other')
    } catch {
      box.checked = !wanted
      panel.notice('away')
    }
  }
  return h('div', { class: 'keep' }, h('div', { class: 'row' }, box, h('label', { for: 'keep' }, words.say('keep'))), hint)
}

// Hidden until the server says that it is in Telegram too. The link is made when it is asked for: it opens the chat for whoever has it.
function telegram(panel) {
  const name = panel.words.say('telegram')
  const box = h('div', { hidden: true })
  const make = async () => {
    try {
      const { url, note } = await panel.conversation.api.telegram()
      const open = h('a', { href: url, target: '_blank', rel: 'noopener noreferrer', onclick: () => open.replaceWith(ask) }, `${name} ${panel.words.say('new_tab')}`)
      box.replaceChildren(h('p', { class: 'quiet', lang: 'en', dir: 'ltr' }, note), open)
      open.focus()
    } catch {
      panel.notice('away')
    }
  }
  const ask = h('button', { type: 'button', class: 'second', onclick: make }, name)
  box.append(ask)
  return box
}

function clear(panel) {
  const { conversation, words } = panel
  const ask = h('button', { type: 'button', class: 'second', 'aria-expanded': 'false', onclick: () => sure(true) }, words.say('clear'))
  const yes = async () => {
    sure(false)
    panel.toggleMenu(false)
    try {
      await conversation.clear()
      panel.focusTitle()
    } catch {
      panel.notice('away')
    }
  }
  const no = h('button', { type: 'button', class: 'second', onclick: () => sure(false) }, words.say('clear_no'))
  const box = h(
    'div',
    { class: 'sure', hidden: true },
    h('p', {}, h('strong', {}, words.say('clear_ask')), ' ', words.say('clear_hint')),
    h('div', { class: 'row' }, h('button', { type: 'button', class: 'warning', onclick: yes }, words.say('clear_yes')), no)
  )
  const sure = (asked) => {
    box.hidden = !asked
    ask.setAttribute('aria-expanded', String(asked))
    ;(asked ? no : ask).focus()
  }
  return h('div', {}, ask, box)
}
