// Reading aloud with the browser's own voices. A voice that sends the text to another company is never used.
export class Speech {
  constructor() {
    this.synthesis = window.speechSynthesis
    this.reading = null
  }

  voice(language) {
    const voices = this.synthesis?.getVoices() ?? []
    return voices.find((one) => one.localService && one.lang.toLowerCase().startsWith(language))
  }

  whenReady(then) {
    if (!this.synthesis) return
    if (this.synthesis.getVoices().length) then()
    else this.synthesis.addEventListener?.('voiceschanged', then, { once: true })
  }

  // Read `text`, or stop if `button` is the one that is being read; `label` says which of the two it would do next.
  toggle(button, text, language, label) {
    const stops = this.reading === button
    this.stop()
    if (stops) return
    const said = new SpeechSynthesisUtterance(text)
    said.voice = this.voice(language)
    said.lang = said.voice?.lang ?? language
    said.onend = said.onerror = () => this.reading === button && this.stop()
    this.reading = button
    this.label = label
    label(true)
    this.synthesis.speak(said)
  }

  stop() {
    if (!this.reading) return
    this.synthesis.cancel()
    this.label(false)
    this.reading = null
  }
}
