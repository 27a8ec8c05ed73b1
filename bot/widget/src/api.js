// The chat API (the server's contract) over fetch: posts, fetching by sequence, and server-sent events.
const SEND = 30000
const FETCH = 15000
const LONG_POLL = 25
const FIRST_BYTE = 8000
const SILENCE = 45000

// The server said no; `wait` is in seconds.
export class Refused extends Error {
  constructor(status, message, wait) {
    super(message)
    Object.assign(this, { status, wait })
  }
}

// Nobody heard us.
export class Unreachable extends Error {}

// Something between us and the server holds events back.
export class NoStream extends Error {}

export class Api {
  // `token` gives the bearer token; without one the page's own cookie opens the chat.
  constructor(base, token) {
    this.base = base
    this.token = token
  }

  start(body) {
    return this.#json('/sessions', { body }, FETCH)
  }

  send({ client_id, text, choice }) {
    return this.#json('/messages', { body: choice ? { client_id, choice } : { client_id, text } }, SEND)
  }

  after(seq, signal, wait = 0) {
    return this.#json(`/messages?after=${seq}${wait ? `&wait=${LONG_POLL}` : ''}`, { signal }, FETCH + wait * LONG_POLL * 1000)
  }

  standing() {
    return this.#json('/standing', {}, FETCH)
  }

  // A link that opens this chat in Telegram, once.
  telegram() {
    return this.#json('/telegram', { body: {} }, FETCH)
  }

  async typing() {
    await this.#fetch('/typing', { body: {} })
  }

  // Only with the page's cookie, which no script can read or write.
  keep(wanted) {
    return this.#json('/keep', { body: { wanted } }, FETCH)
  }

  forget() {
    return this.#json('/forget', { body: {} }, FETCH)
  }

  // Gives each message to `hear` until the server ends the stream. Raises NoStream if nothing comes through.
  async events(seq, hear, signal) {
    const stop = new AbortController()
    const end = () => stop.abort()
    signal.addEventListener('abort', end)
    let heard = false
    let timer = setTimeout(end, FIRST_BYTE)
    try {
      const answer = await this.#fetch(`/events?after=${seq}`, { signal: stop.signal })
      if (!answer.ok) throw await refusal(answer)
      if (!answer.body || !answer.headers.get('content-type')?.startsWith('text/event-stream')) throw new NoStream()
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader()
      let kept = ''
      for (;;) {
        const { done, value } = await reader.read()
        if (done) return
        heard = true
        clearTimeout(timer)
        timer = setTimeout(end, SILENCE)
        const parts = (kept + value).split(/\r?\n\r?\n/)
        kept = parts.pop()
        for (const part of parts) {
          const data = part.split(/\r?\n/).filter((line) => line.startsWith('data:')).map((line) => line.slice(5).trimStart())
          if (data.length) hear(JSON.parse(data.join('\n')))
        }
      }
    } catch (problem) {
      if (stop.signal.aborted && !signal.aborted && !heard) throw new NoStream()
      throw problem instanceof Refused || problem instanceof NoStream ? problem : new Unreachable()
    } finally {
      clearTimeout(timer)
      signal.removeEventListener('abort', end)
      stop.abort()
    }
  }

  async #json(path, { body, signal }, time) {
    const stop = new AbortController()
    const end = () => stop.abort()
    const timer = setTimeout(end, time)
    signal?.addEventListener('abort', end)
    let answer
    try {
      answer = await this.#fetch(path, { body, signal: stop.signal })
      if (answer.ok) return { status: answer.status, ...(await answer.json()) }
    } catch {
      throw new Unreachable()
    } finally {
      clearTimeout(timer)
      signal?.removeEventListener('abort', end)
    }
    throw await refusal(answer)
  }

  #fetch(path, { body, signal }) {
    const token = this.token()
    return fetch(this.base + path, {
      method: body ? 'POST' : 'GET',
      headers: { ...(token && { Authorization: `Bearer ${token}` }), ...(body && { 'Content-Type': 'application/json' }) },
      body: body && JSON.stringify(body),
      credentials: token === null ? 'same-origin' : 'omit',
      cache: 'no-store',
      signal,
    })
  }
}

async function refusal(answer) {
  if (answer.status >= 500) return new Unreachable()
  try {
    return new Refused(answer.status, (await answer.json()).error.message, Number(answer.headers.get('retry-after')) || 0)
  } catch {
    // the page of a proxy, or of a wireless network that wants a sign-in: the server never heard of it
    return new Unreachable()
  }
}
