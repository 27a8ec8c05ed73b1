// For browsers too old for <signpost-chat>: adds new messages to the page by itself and sends on Enter; the page does both without it.
const FAST = 3000
const SLOW = 15000
const SLOW_AFTER = 5 * 60 * 1000

const list = document.getElementById('messages')
const form = document.getElementById('write')
const text = document.getElementById('text')
const opened = Date.now()

function newest() {
  return Math.max(0, ...Array.from(list.children, (item) => Number(item.dataset.seq)))
}

function add(html) {
  const known = newest()
  const parsed = new DOMParser().parseFromString(`<ol>${html}</ol>`, 'text/html')
  for (const item of Array.from(parsed.querySelectorAll('ol > li.app-message'))) {
    if (Number(item.dataset.seq) <= known) continue
    if (item.dataset.author !== 'parent') document.getElementById('waiting')?.remove()
    list.append(document.adoptNode(item))
  }
  form.elements.newest.value = newest()
}

async function look() {
  if (!list?.isConnected) return
  if (document.visibilityState === 'visible') {
    try {
      const answer = await fetch(`/chat/messages?after=${newest()}${form.elements.embed ? '&embed=1' : ''}${form.elements.lang ? `&lang=${form.elements.lang.value}` : ''}`, { credentials: 'same-origin' })
      if (answer.status === 200) add(await answer.text())
      if (answer.status === 401) return
    } catch {
      // The network is away; the next look may find it back.
    }
  }
  setTimeout(look, Date.now() - opened > SLOW_AFTER ? SLOW : FAST)
}

text?.addEventListener('keydown', (event) => {
  if (event.key !== 'Enter' || event.shiftKey || event.isComposing || !text.value.trim()) return
  event.preventDefault()
  form.requestSubmit(form.querySelector('button[value=send]'))
})

setTimeout(look, FAST)
