"""What a web server imports: `gunicorn wsgi:app`, `flask --app wsgi …`."""

import sys

from portal import create_app
from portal.settings import Settings, SettingsError

try:
    app = create_app(Settings.load())
except SettingsError as error:
    sys.exit(f"Doorstep does not start: {error}")
