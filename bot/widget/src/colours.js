// A host page may choose two colours; text on them is made readable (WCAG 1.4.3) whatever was chosen.
const HEX = /^#(?:[0-9a-f]{3}|[0-9a-f]{6})$/i
const CONTRAST = 4.5

export function colours(colour, textColour) {
  const back = HEX.test(colour ?? '') ? colour : '#1d4c5c'
  const wished = HEX.test(textColour ?? '') ? textColour : '#ffffff'
  const text = contrast(back, wished) >= CONTRAST ? wished : contrast(back, '#ffffff') >= CONTRAST ? '#ffffff' : '#000000'
  return `:host{--brand:${back};--on-brand:${text}}`
}

function contrast(one, other) {
  const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b)
  return (high + 0.05) / (low + 0.05)
}

function luminance(hex) {
  const digits = hex.length === 4 ? [...hex.slice(1)].map((d) => d + d) : hex.slice(1).match(/../g)
  const [r, g, b] = digits.map((d) => parseInt(d, 16) / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
  return 0.2126 * r + 0.7152 * g + 0.0722 * b
}
