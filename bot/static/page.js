// The behaviour of nhsuk-frontend's components; every page works without it.
import { initAll } from '/static/vendor/nhsuk/nhsuk-frontend.min.js'

document.body.classList.add('js-enabled', 'nhsuk-frontend-supported')
initAll()
