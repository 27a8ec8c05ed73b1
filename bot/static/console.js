// What the console adds for browsers with JavaScript, besides htmx: drafts kept while writing, a query that is live, nothing lost on the way.
const KEEP_AFTER = 2500
const TELL_AFTER = 5000

function keepDrafts(form) {
  const box = form.querySelector('textarea[name=text]')
  const told = form.querySelector('[data-kept]')
  let waiting = null
  let kept = box.value
  async function keep() {
    waiting = null
    const text = box.value
    if (text === kept) return
    const body = new URLSearchParams({ csrf: form.elements.csrf.value, text })
    try {
      const answer = await fetch(form.dataset.draft, { method: 'POST', body, redirect: 'error' })
      if (answer.status === 401) told.textContent = 'You are signed out, so your draft is not kept. Copy your reply, then sign in again.'
      else if (answer.status === 403 || answer.status === 404) told.textContent = 'This page is out of date, so your draft is not kept. Copy your reply, then open the page again.'
      else if (!answer.ok) throw new Error(String(answer.status))
      else {
        kept = text
        told.textContent = 'Your draft is kept.'
      }
    } catch {
      told.textContent = 'Your draft is not kept: no connection. It is still here; we try again.'
      waiting ??= setTimeout(keep, KEEP_AFTER * 2)
    }
  }
  box.addEventListener('input', () => {
    told.textContent = ''
    waiting ??= setTimeout(keep, KEEP_AFTER)
  })
  return { keep, isUnsaved: () => box.value !== kept }
}

function goLive(list, draft) {
  const here = document.querySelector('[data-here]')
  const typing = document.querySelector('[data-typing]')
  const changed = document.querySelector('[data-changed]')
  const cut = document.querySelector('[data-cut]')
  const news = new Set()
  const events = new EventSource(`${list.dataset.live}?after=${list.dataset.after}&version=${list.dataset.version}`)
  function tell() {
    const again = Object.assign(document.createElement('button'), { type: 'button', className: 'nhsuk-button nhsuk-button--small', textContent: 'Load the page again, with my draft' })
    again.addEventListener('click', async () => {
      await draft?.keep()
      location.reload()
    })
    const words = document.createElement('p')
    words.textContent = [...news].join(' ')
    const box = document.createElement('div')
    box.className = 'nhsuk-inset-text'
    box.append(words, again)
    changed.replaceChildren(box)
  }
  events.addEventListener('message', (event) => {
    const { seq, author, html } = JSON.parse(event.data)
    if (document.getElementById(`message-${seq}`)) return
    list.insertAdjacentHTML('beforeend', html)
    if (author === 'parent') {
      news.add('A new message has come in. Your reply can be sent once you have loaded it.')
      tell()
    }
  })
  events.addEventListener('here', (event) => {
    here.replaceChildren(...JSON.parse(event.data).here.map((words) => Object.assign(document.createElement('p'), { textContent: words })))
  })
  events.addEventListener('typing', (event) => {
    typing.textContent = JSON.parse(event.data).parent ? 'They are typing.' : ''
  })
  events.addEventListener('changed', () => {
    news.add('This query has changed since you opened it.')
    tell()
  })
  let lost = null
  events.addEventListener('error', () => {
    lost ??= setTimeout(() => { cut.textContent = 'No connection at present. What is new shows here when it is back.' }, TELL_AFTER)
  })
  events.addEventListener('open', () => {
    clearTimeout(lost)
    lost = null
    cut.textContent = ''
  })
  events.addEventListener('signed-out', () => {
    events.close()
    news.add('You are signed out. Copy your reply, then sign in again.')
    tell()
  })
  addEventListener('pagehide', () => events.close())
}

// A form that is sent takes along what it holds. The reply is kept as a draft first; of other half-written forms the browser asks.
function guard(draft) {
  let leaving = null
  document.addEventListener('submit', async (event) => {
    if (event.defaultPrevented || event.target.method !== 'post') return
    if (draft?.isUnsaved() && !event.target.dataset.draft) {
      event.preventDefault()
      await draft.keep()
      if (draft.isUnsaved()) return
      event.target.requestSubmit(event.submitter)
      return
    }
    leaving = event.target
  })
  function isHalfWritten(field) {
    return field.form !== leaving && field.form.method === 'post' && !field.form.dataset.draft && field.value !== field.defaultValue
  }
  addEventListener('beforeunload', (event) => {
    const typed = [...document.querySelectorAll('main form textarea, main form input:not([type=hidden], [type=checkbox], [type=radio], [type=password])')]
    if ((draft?.isUnsaved() && !leaving?.dataset.draft) || typed.some(isHalfWritten)) event.preventDefault()
  })
  addEventListener('pageshow', () => { leaving = null })
}

// A form that htmx sends and that fails: told above its part of the page, where what was typed stays.
function tellFailures() {
  const words = 'Signpost did not answer, so this may not be done. What you typed is still here. See if it was done, then try again.'
  function tell({ type, detail }) {
    const told = document.getElementById(`${detail.requestConfig.target.id}-told`) ?? detail.requestConfig.elt.closest('.app-part')?.querySelector('.app-told')
    if (!told) return
    if (type !== 'htmx:responseError' || !told.textContent.trim()) {
      told.replaceChildren(Object.assign(document.createElement('p'), { className: 'nhsuk-error-message', textContent: words }))
    }
    told.firstElementChild.tabIndex = -1
    told.firstElementChild.focus()
  }
  for (const failure of ['htmx:sendError', 'htmx:timeout', 'htmx:responseError']) document.addEventListener(failure, tell)
}

const form = document.querySelector('form[data-draft]')
const draft = form ? keepDrafts(form) : null
const list = document.querySelector('[data-live]')
if (list) goLive(list, draft)
guard(draft)
tellFailures()
