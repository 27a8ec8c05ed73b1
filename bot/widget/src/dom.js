// Elements by hand: text is always text, never markup.
export function h(tag, properties = {}, ...children) {
  const made = document.createElement(tag)
  for (const [name, value] of Object.entries(properties)) {
    if (value === false || value == null) continue
    if (name.startsWith('on')) made.addEventListener(name.slice(2), value)
    else made.setAttribute(name, value === true ? '' : value)
  }
  made.append(...children.flat().filter(Boolean))
  return made
}

// New words where they are not there already: what is written again is read out again.
export function put(place, words) {
  if (place && place.textContent !== words) place.textContent = words
}
