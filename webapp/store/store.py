from webapp.store.calls import Calls
from webapp.store.codes import Codes
from webapp.store.grades import Grades
from webapp.store.reviews import Reviews
from webapp.store.runs import Runs
from webapp.store.sessions import Sessions
from webapp.store.users import Users


class Store(Users, Sessions, Codes, Grades, Calls, Reviews, Runs):
    """All that is kept, by topic: the only place with SQL. `migrate` it before use, `dispose` of it after.

    What it returns is free of the database: rows that are detached, and frozen records. One store serves a process's
    threads; it holds connections and no data.
    """
