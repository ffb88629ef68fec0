"""The outbox: messages decided in the transaction of their cause and sent by the worker."""
