// One conversation: what was said, what is still to be sent, and how it is kept in step with the server. Draws nothing.
import { Api, NoStream, Refused, Unreachable } from './api.js'
import { Keeping, OtherTabs } from './keeping.js'

const BACKOFF = [1000, 2000, 4000, 8000, 15000, 30000]
const STANDING_EVERY = 30000
const HIDDEN_FOR = 60000
const AFTER_STREAM = 500
const TYPING_EVERY = 3000

export class Conversation {
  #cookie
  #highest = 0
  #asked = 0
  #inFlight = 0
  #failures = 0
  #streams = true
  #watching = false
  #wakers = new Set()
  #sending = new Map()
  #following
  #closing = new AbortController()
  #glancing
  #flushing
  #typedAt
  #asking
  #hiding

  // `show` hears what changes: messages, outbox, standing, notice, refused, draft, started, cleared.
  constructor({ server, area, role, cookie }, show) {
    this.about = { area, role }
    this.#cookie = cookie
    this.show = show
    const key = cookie ? `${server}/chat` : server
    this.keeping = new Keeping(key)
    this.tabs = new OtherTabs(key, (news) => this.#hear(news))
    this.api = new Api(`${server}${cookie ? '/chat/api' : '/api/chat'}`, () => (cookie ? null : this.keeping.read().token || ''))
    this.messages = new Map()
    // `newest`: everything up to it is here; `highest`: the highest number shown, which an answer to a post may take ahead of it
    this.newest = 0
    this.joined = this.keeping.read().session
    // another one begins when the chat is forgotten: what was under way before is not shown any more
    this.era = 0
    const until = { signal: this.#closing.signal }
    window.addEventListener('online', () => this.wake(), until)
    // the first one belongs to the page's start; later ones bring a page back that was put aside
    window.addEventListener('pageshow', (event) => event.persisted && this.wake(), until)
    window.addEventListener('storage', (event) => this.#stored(event), until)
    document.addEventListener('visibilitychange', () => this.#seen(), until)
  }

  get exists() {
    return this.#cookie || Boolean(this.keeping.read().token)
  }

  get outbox() {
    return this.keeping.read().outbox
  }

  get isWorking() {
    return this.#inFlight > 0 || this.#asked > 0
  }

  // Fetch what was said before and send what is left; from now on stay in step. Raises nothing: what fails is tried again.
  async open() {
    this.#watching = true
    this.#flush()
    if (this.exists) {
      await this.#catchUp()
      await this.#ask()
    } else this.show.loaded()
    this.#follow()
  }

  // Stop following; only a glance now and then says whether there is something new.
  rest() {
    this.#watching = false
    this.#stopFollowing()
    this.#glance()
  }

  close() {
    this.rest()
    clearTimeout(this.#glancing)
    this.tabs.close()
    this.#closing.abort()
  }

  say(text) {
    this.#queue({ client_id: newId(), text })
  }

  choose({ id, title }) {
    this.#queue({ client_id: newId(), choice: id, text: title })
  }

  draft(text) {
    this.keeping.write({ draft: text })
    this.#share({ draft: text })
    this.#typing(text)
  }

  // Staff who have a question of this chat open see that something is being typed, not what.
  #typing(text) {
    const now = Date.now()
    if (!text || !this.hasQueries || now - (this.#typedAt || 0) < TYPING_EVERY) return
    this.#typedAt = now
    this.api.typing().catch(() => {})
  }

  // Forget the chat on this device. Raises what the API raises where the page's cookie has to go too.
  async clear() {
    if (this.#cookie) await this.api.forget()
    this.#share({ cleared: true })
    this.#forget()
    this.show.cleared()
  }

  // Whether it is now as wanted: another chat may be kept here already.
  async keepOnDevice(wanted) {
    if (!this.#cookie) return this.keeping.keepOnDevice(wanted)
    await this.api.keep(wanted)
    return true
  }

  markSeen() {
    if (this.#highest > this.keeping.read().seen) this.keeping.write({ seen: this.#highest })
  }

  // The network or the parent is back: look at once, and doubt every connection from before.
  wake() {
    this.#rouse()
    if (!this.#watching) return this.#glance()
    this.#stopFollowing()
    this.#resume()
  }

  async #resume() {
    if (this.exists) {
      await this.#catchUp()
      this.#askSoon()
    }
    this.#follow()
  }

  #queue(item) {
    this.keeping.write({ outbox: [...this.outbox, item], draft: '' })
    this.show.outbox(this.outbox, false)
    this.#share({ news: true })
    this.#rouse()
  }

  // Send what is left now, whatever was waited for.
  #rouse() {
    this.#failures = 0
    for (const waker of this.#wakers) waker()
    this.#flush()
  }

  // Tell the other tabs that show this chat.
  #share(news) {
    this.tabs.tell({ ...news, session: this.keeping.read().session })
  }

  async #flush() {
    if (this.#flushing) return
    this.#flushing = true
    try {
      let item
      while ((item = this.outbox.find((one) => !this.#sending.has(one.client_id)))) {
        if (!(await this.#deliver(item))) break
      }
    } finally {
      this.#flushing = false
    }
  }

  // Send one message until the server has it; whether the next may go.
  async #deliver(item) {
    this.#inFlight += 1
    this.show.outbox(this.outbox, false)
    this.show.working()
    try {
      if (!this.exists) await this.#start()
      const heard = new Promise((resolve) => this.#sending.set(item.client_id, resolve))
      const { era } = this
      const answered = this.api.send(item).then((answer) => era === this.era && this.#accepted(item, answer))
      // once the server's own list shows the message, the next need not wait for this one's answer
      const first = await Promise.race([answered.then(() => 'answered'), heard.then(() => 'heard')])
      if (first === 'heard') {
        this.#inFlight += 1
        answered.catch(() => this.#ask()).finally(() => this.#landed(item))
      }
      return true
    } catch (problem) {
      this.#sending.delete(item.client_id)
      return problem instanceof Refused ? this.#refused(item, problem) : this.#unreachable()
    } finally {
      this.#landed(item)
    }
  }

  #landed(item) {
    this.#inFlight -= 1
    if (!this.outbox.some((one) => one.client_id === item.client_id)) this.#sending.delete(item.client_id)
    this.show.working()
  }

  async #start() {
    const { session, token, messages } = await this.api.start(this.about)
    this.keeping.write({ session, token })
    this.joined = session
    this.loaded = true
    this.show.started()
    this.#take(messages, false)
    this.tabs.tell({ news: true, session })
    this.#follow()
  }

  #accepted(item, { status, accepted, messages }) {
    const at = new Date().toISOString()
    this.#settle(item.client_id, accepted, at)
    this.#asked = status === 202 && !messages.length ? accepted : 0
    const said = { seq: accepted, author: 'parent', text: item.text, at, choices: [], sources: [], query: null }
    this.#take([said, ...messages], true, false)
    this.#share({ news: true })
    if (this.#asked) this.show.notice('slow')
  }

  #settle(clientId, seq, at) {
    const left = this.outbox.filter((one) => one.client_id !== clientId)
    if (left.length < this.outbox.length) {
      this.keeping.write({ outbox: left })
      if (this.#failures) this.show.notice('sent')
      this.#failures = 0
    }
    this.show.sent(clientId, seq, at)
    this.#sending.get(clientId)?.()
  }

  async #refused(item, { status, message, wait }) {
    if (status === 429) {
      this.show.outbox(this.outbox, true)
      this.show.notice('busy')
      await this.#pause((wait || 5) * 1000)
      return true
    }
    if (status === 401) {
      this.keeping.write({ outbox: this.outbox.map(({ client_id, text }) => ({ client_id, text })) })
      return this.#lost()
    }
    this.keeping.write({ outbox: this.outbox.filter((one) => one.client_id !== item.client_id) })
    this.show.refused(item, message)
    return true
  }

  #unreachable() {
    this.show.outbox(this.outbox, true)
    this.show.notice('offline')
    const wait = BACKOFF[Math.min(this.#failures, BACKOFF.length - 1)]
    this.#failures += 1
    this.#pause(wait).then(() => this.#flush())
    return false
  }

  async #catchUp(signal) {
    const first = !this.loaded
    const { era } = this
    try {
      const { messages } = await this.api.after(this.newest, signal)
      if (era !== this.era) return false
      this.loaded = true
      this.#take(messages, !first)
      this.show.loaded()
      return true
    } catch (problem) {
      if (problem instanceof Refused && problem.status === 401) return this.#lost()
      if (first) this.show.notice('not_loaded')
      return false
    }
  }

  // The server does not know this chat (any more): what is not sent goes into a new one.
  #lost() {
    this.show.notice('ended')
    if (this.#cookie) {
      this.show.lost()
      return false
    }
    this.keeping.write({ session: null, token: null, seen: 0 })
    this.#empty()
    this.show.outbox(this.outbox, false)
    return true
  }

  // Add messages in order, each once. `live` tells new ones from those of before; `whole`, that none is missing before them.
  #take(messages, live, whole = true) {
    const fresh = []
    for (const message of messages) {
      if (message.client_id) this.#settle(message.client_id, message.seq, message.at)
      if (whole) this.newest = Math.max(this.newest, message.seq)
      if (this.messages.has(message.seq)) continue
      this.messages.set(message.seq, message)
      this.#highest = Math.max(this.#highest, message.seq)
      if (message.author !== 'parent' && message.seq > this.#asked) this.#asked = 0
      fresh.push(message)
    }
    if (fresh.length) {
      this.show.messages(fresh, live)
      if (fresh.some((message) => message.author !== 'parent')) this.#askSoon()
      if (this.#watching && document.visibilityState === 'visible') this.markSeen()
    }
    this.show.working()
  }

  async #ask() {
    try {
      const standing = await this.api.standing()
      this.#asked = standing.working ? this.#asked || this.#highest : 0
      this.hasQueries = standing.queries.length > 0
      this.show.standing(standing)
      this.show.working()
      return standing
    } catch {
      return null
    }
  }

  // A look without fetching: a reply counts as delivered only when it is shown.
  async #glance() {
    clearTimeout(this.#glancing)
    if (this.#watching || !this.exists) return
    if (document.visibilityState === 'visible') {
      const standing = await this.#ask()
      if (standing) this.show.unread(Math.max(0, standing.newest - Math.max(this.keeping.read().seen, this.#highest)))
    }
    this.#glancing = setTimeout(() => this.#glance(), STANDING_EVERY)
  }

  async #follow() {
    if (this.#following || !this.#watching || !this.exists) return
    const here = (this.#following = new AbortController())
    const standing = setInterval(() => this.#ask(), STANDING_EVERY)
    try {
      await this.#stayInStep(here)
    } finally {
      clearInterval(standing)
      if (this.#following === here) this.#following = null
    }
  }

  #stopFollowing() {
    this.#following?.abort()
    this.#following = null
  }

  async #stayInStep(here) {
    let stumbled = 0
    while (!here.signal.aborted) {
      try {
        if (!this.loaded && !(await this.#catchUp(here.signal))) throw new Unreachable()
        if (this.#streams) {
          await this.api.events(this.newest, (message) => this.#heard(message, here.signal, () => (stumbled = 0)), here.signal)
          await this.#pause(AFTER_STREAM)
        } else {
          const { messages } = await this.api.after(this.newest, here.signal, 1)
          this.#take(messages, true)
          stumbled = 0
        }
      } catch (problem) {
        if (here.signal.aborted) break
        if (problem instanceof Refused && problem.status === 401) return this.#lost()
        if (problem instanceof NoStream || problem instanceof Refused) this.#streams = false
        stumbled += 1
        if (stumbled === 2) this.show.notice(this.outbox.length ? 'offline' : 'away')
        await this.#pause(BACKOFF[Math.min(stumbled, BACKOFF.length - 1)])
        if (!here.signal.aborted && stumbled > 1 && (await this.#catchUp(here.signal))) {
          stumbled = 0
          this.show.notice('')
          this.#flush()
        }
      }
    }
  }

  #heard(message, signal, well) {
    well()
    if (!signal.aborted) this.#take([message], true)
  }

  #askSoon() {
    clearTimeout(this.#asking)
    this.#asking = setTimeout(() => this.#ask(), 300)
  }

  #hear(news) {
    if (news.cleared) {
      // what is kept on the device may be gone already: the chat that is shown here decides
      if (!this.#cookie && (!news.session || news.session !== this.joined)) return
      this.#forget()
      return this.show.cleared()
    }
    const mine = this.keeping.read()
    if (!this.#cookie && (news.session !== mine.session || !mine.session)) return
    if ('draft' in news) return this.show.draft(news.draft)
    if (this.joined !== mine.session && !this.#cookie) this.#adopt(mine.session)
    this.show.outbox(this.outbox, false)
    if (this.#watching) this.#resume()
  }

  #stored({ key }) {
    if (key !== this.keeping.key || this.#cookie) return
    const { session } = this.keeping.followDevice()
    if (session && session !== this.joined) {
      this.#adopt(session)
      if (this.#watching) this.open()
    }
  }

  #adopt(session) {
    this.joined = session
    this.#empty()
    this.show.started()
  }

  #seen() {
    clearTimeout(this.#hiding)
    if (document.visibilityState === 'visible') return this.wake()
    this.#hiding = setTimeout(() => this.#stopFollowing(), HIDDEN_FOR)
  }

  #pause(time) {
    return new Promise((resolve) => {
      const go = () => {
        clearTimeout(timer)
        this.#wakers.delete(go)
        resolve()
      }
      const timer = setTimeout(go, time)
      this.#wakers.add(go)
    })
  }

  #empty() {
    this.messages.clear()
    this.newest = this.#highest = this.#asked = 0
    this.loaded = false
    this.era += 1
    this.show.emptied()
  }

  #forget() {
    this.#stopFollowing()
    this.keeping.forget()
    this.joined = null
    this.#empty()
  }
}

function newId() {
  if (crypto.randomUUID) return crypto.randomUUID()
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('')
}
