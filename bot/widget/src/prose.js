// Plain text as paragraphs and "- " lists, as bot/pages/prose.py reads it; telephone numbers can be tapped.
import { h } from './dom.js'

const BULLET = /^\s*[-•]\s+(?=\S)/
const PHONE = /\b(?:999|111|116 123|0800 1111|0\d{2,4} ?\d{3} ?\d{3,4})\b/g

export function blocks(text) {
  const made = []
  for (const part of text.replace(/\r\n/g, '\n').split(/\n[ \t]*\n/)) {
    for (const line of part.split('\n').filter((one) => one.trim())) {
      const isList = BULLET.test(line)
      const last = made[made.length - 1]
      if (last?.part === part && last.isList === isList) last.lines.push(line.replace(BULLET, '').trim())
      else made.push({ part, isList, lines: [line.replace(BULLET, '').trim()] })
    }
  }
  return made
}

export function prose(given, phones = true) {
  const line = (text) => (phones ? withPhones(text) : [text])
  return given.map(({ isList, lines }) =>
    isList ? h('ul', {}, lines.map((text) => h('li', {}, line(text)))) : h('p', {}, lines.flatMap((text, n) => [n ? h('br') : null, ...line(text)]))
  )
}

function withPhones(text) {
  const made = []
  let from = 0
  for (const found of text.matchAll(PHONE)) {
    made.push(text.slice(from, found.index), h('a', { href: `tel:${found[0].replace(/ /g, '')}` }, found[0]))
    from = found.index + found[0].length
  }
  return [...made, text.slice(from)]
}
