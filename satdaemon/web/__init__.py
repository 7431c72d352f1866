"""The processing controller: pages and an API over the same views. `app.create_app` is the whole; start reading there.

Pages read views of satdaemon.db and change things through satdaemon.control alone. Who may do what is decided in one place
(access/guard.py), for every route at once.
"""
