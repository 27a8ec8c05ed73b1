"""Languages by the names that staff read."""

LANGUAGES = {"en": "English", "pl": "Polish", "pt": "Portuguese", "ro": "Romanian", "uk": "Ukrainian", "ar": "Arabic", "bn": "Bengali"}
