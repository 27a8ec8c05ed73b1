// What the chat remembers between pages: in this tab, or on this device if the parent chooses so. Where storage is blocked, in memory.
const EMPTY = { session: null, token: null, outbox: [], draft: '', seen: 0, open: false }

export class Keeping {
  constructor(key) {
    this.key = `signpost:${key}`
    this.memory = null
  }

  // A chat of this tab comes before one that is kept on the device: nothing that another tab does takes it away.
  get onDevice() {
    return this.#get('sessionStorage') === null && this.#get('localStorage') !== null
  }

  read() {
    return parsed(this.#get('sessionStorage') ?? this.#get('localStorage') ?? this.memory)
  }

  // Reads afresh each time: another tab may have written since.
  write(change) {
    this.#put(this.onDevice, { ...this.read(), ...change })
  }

  // Whether it is now as wanted: one other chat that is kept here is not overwritten.
  keepOnDevice(wanted) {
    const mine = this.read()
    const other = parsed(this.#get('localStorage')).session
    if (wanted && other && other !== mine.session) return false
    this.forget()
    this.#put(wanted, mine)
    return this.onDevice === wanted
  }

  // Another tab changed what is kept on the device; a tab with nothing of its own goes along. Gives what holds now.
  followDevice() {
    const mine = this.read()
    const kept = this.#get('localStorage')
    if (!this.onDevice && kept && !mine.token && !mine.outbox.length && !mine.draft) this.#drop('sessionStorage')
    return this.read()
  }

  forget() {
    this.memory = null
    if (this.#get('sessionStorage') === null) this.#drop('localStorage')
    this.#drop('sessionStorage')
  }

  #put(onDevice, what) {
    const text = JSON.stringify(what)
    if (!this.#set(onDevice ? 'localStorage' : 'sessionStorage', text)) this.memory = text
  }

  #drop(where) {
    try {
      window[where].removeItem(this.key)
    } catch {
      // blocked storage holds nothing
    }
  }

  #get(where) {
    try {
      return window[where].getItem(this.key)
    } catch {
      return null
    }
  }

  #set(where, text) {
    try {
      window[where].setItem(this.key, text)
      return true
    } catch {
      return false
    }
  }
}

function parsed(text) {
  try {
    return { ...EMPTY, ...JSON.parse(text) }
  } catch {
    return { ...EMPTY }
  }
}

// What one tab tells the others that have the same chat.
export class OtherTabs {
  constructor(key, hear) {
    this.channel = 'BroadcastChannel' in window ? new BroadcastChannel(`signpost:${key}`) : null
    if (this.channel) this.channel.onmessage = (event) => hear(event.data)
  }

  tell(news) {
    this.channel?.postMessage(news)
  }

  close() {
    this.channel?.close()
  }
}
