# Signpost. `make help` explains every target.
PYTHON ?= python3
APP := .venv/app/bin/python
ENGINE := .venv/engine/bin/python
export RASA_TELEMETRY_ENABLED := false

.DEFAULT_GOAL := help
.PHONY: help run demo-telegram test test-fast test-app test-engine train evaluate benchmark benchmark-widget pictures settings clean

help: ## Explain every target
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*##/:/' | awk -F': *' '{printf "  make %-16s %s\n", $$1, $$2}'

run: ## Install what is missing, train if the data changed, and serve http://127.0.0.1:8000
	@$(PYTHON) -m bot.setup run
	@exec ./signpost run

demo-telegram: ## Try Telegram with no account: be a parent in the terminal or on a page, and staff in the console
	@$(PYTHON) -m bot.setup run
	@$(APP) -m tests.doubles.telegram_demo

test: ## Install what is missing and run every test, for both sides
	@$(PYTHON) -m bot.setup test
	@$(MAKE) --no-print-directory --keep-going test-engine test-app

test-engine: ## The engine's components, under the engine's Python
	@$(ENGINE) -m pytest -q -W ignore --confcutdir=tests/engine tests/engine

test-app: ## Everything else, under the app's Python (starts the real engine)
	@$(APP) -m pytest -q tests --ignore=tests/engine

test-fast: ## The app's tests that need no engine process and no browser
	@$(PYTHON) -m bot.setup test-fast
	@$(APP) -m pytest -q tests --ignore=tests/engine -m "not engine and not browser"

train: ## Train the model now, whether or not the data changed
	@$(PYTHON) -m bot.setup run
	@./signpost train

evaluate: ## Run benchmarks/data/dev.csv through the whole system and print what was right
	@$(PYTHON) -m bot.setup run
	@./signpost evaluate benchmarks/data/dev.csv

benchmark: ## Measure Signpost against stock Rasa (a quarter of an hour); writes benchmarks/engine.md
	@$(PYTHON) -m bot.setup run
	@$(APP) -m benchmarks.engine

benchmark-widget: ## Measure the chat's script against two from npm (two minutes); writes benchmarks/widget.md
	@$(PYTHON) -m bot.setup test
	@$(APP) -m benchmarks.widget

pictures: ## Take the README's pictures anew
	@$(PYTHON) -m bot.setup test
	@$(APP) -m docs.pictures

settings: ## List everything that can be set
	@$(PYTHON) -m bot.setup test-fast
	@./signpost settings

clean: ## Take away environments, models and assets; the database in var/ stays
	@rm -rf .venv var/models var/sentence-model node_modules bot/static/vendor .rasa
