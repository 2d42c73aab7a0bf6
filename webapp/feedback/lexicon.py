"""Word lists that tell statements from lists of keywords, refusals from answers, and English from other languages."""

_FUNCTION_WORDS = """
a about after again all also although an and any are as at be because been before being between both but by can could
did do does doing down during each either every few for from had has have having he her here him his how i if in into
is it its itself just like many may me might more most much must my neither no nor not of off on once only or other
our out over own same she should since so some such than that the their them then there these they this those through
to too under until up upon us very was we were what when where whether which while who why will with within without
would yet you your across against along around behind below above besides despite instead onto per plus toward towards
via whose whenever wherever however therefore thus
"""
_FILLERS = """
answer question topic subject idea clue sorry honest honestly really actually simply unfortunately maybe perhaps
probably sure certain certainly know knew knowing known remember recall say tell think thing things something anything
nothing everything detail details exact exactly experience familiar heard hear learn learned study studied guess hmm
um uh well yes no ok okay please thank thanks skip pass next move time now still never one try help interview
interviewer work worked use used bit lot idk dunno tbd na empty submission response comment give knowledge come head
mind top moment right apologies apologize afraid good great nice interesting hard difficult tough explain describe
mean get let go dont cant didnt wont couldnt havent don't can't didn't won't couldn't haven't i'm i've i'd it's that's
"""
# what sentences are made of that name things and say nothing definite about them
_VAGUE = """
decide deserve look whole involve thoughtful approach play role respective respectively handle appropriate
appropriately mechanism leverage manner consistent consider consideration ensure sure interact interaction properly
proper suitable enable effective effectively realization realisation account lifecycle holistic holistically strategy
balanced way bring together inform direction relevant lever emerge align jointly optimal aspect factor important
importance crucial essential vital careful carefully best practice scalable scalability robust production-ready benefit
trade-off tradeoff various many several certain overall generally element concept topic area matter solution goal
accordingly fascinating truly great modern powerful significant significantly meaningful seamlessly comprehensive
comprehensively thorough thoroughly understand understanding nuanced challenge come combine contribute deal discuss
effort engineer everything excellent experience explore facilitate framework fundamental good harness improve include
incorporate integrate integral landscape nature notion overarching paramount perform perspective pivotal point
potential kind purpose relate relationship serve success situation synergy take tailor term thing think touch utilize
utilise valuable variety world manage orchestrate coordinate smooth smoothly seamless graceful gracefully elegant
elegantly intelligent intelligently flexible flexibility interplay concert harmony tandem unlock empower journey realm
foundation cornerstone essence respect regard aim outcome intend intended successful successfully innovative
sophisticated cutting-edge advanced adequate adequately meticulous meticulously diligent diligently principle
robustness excellence insight deeply ultimately conclusion
"""
_CLAIM_WORDS = """
no any every all must only never always should cannot none nothing without same both whole exactly entirely because
since so therefore thus hence as
"""
# what stands between two things and says how they belong together
_RELATIONS = """
into to from before after not no never without only all every each per than more less same by of on in instead
"""
_PREPOSITIONS_AND_ARTICLES = """
a an the of in on at by for with from to into onto as between through per via within without upon over under against
about across along around behind below above
"""
_NUMBERS = "zero one two three four five six seven eight nine ten"
# function words that English doesn't share, for the languages that a Latin keyboard most likely brings
_FOREIGN = {
    "German": "und der das ist nicht ein eine einen mit auf für von den dem wird werden sich auch bei durch oder zu",
    "French": "et le les des est une dans pour que qui sur avec par ce sont pas du au cette nous il elle",
    "Spanish": "y el los las es una para que con por del se como más su al lo está son pero esta entre",
    "Italian": "e il gli che è una per con non del della si sono come più nel alla anche questo da",
    "Portuguese": "e o os as é uma para que com por do da não se como mais em na ao são",
    "Dutch": "en het een van is niet met op voor zijn wordt door de dat die worden ook naar bij uit",
    "Polish": "i w na z nie jest się do że przez oraz jak dla po są od który",
    "Turkish": "ve bir bu için ile olarak da de çok daha olan gibi sonra kadar",
}

_VERBS = "is are was were be been has have had does do did can could will would should may might"
_AFTER_ARTICLE = """
the a an of to and or but in on by with for at from as it they we you he she which who into than then if when because so
"""
_PREPOSITIONS = "of with from into for between through by at because if than"

ARTICLES = frozenset(("a", "an", "the", "its", "their", "your", "my", "our"))
PREPOSITIONS = frozenset(_PREPOSITIONS.split())
# what next to never follows an article, or a preposition, in English prose
AFTER_ARTICLE = frozenset(_VERBS.split() + _AFTER_ARTICLE.split())
AFTER_PREPOSITION = frozenset([*_VERBS.split(), "and", "or", "but", "of"])
FUNCTION_WORDS = frozenset(_FUNCTION_WORDS.split())
FILLERS = frozenset(_FILLERS.split())
CLAIM_WORDS = frozenset(_CLAIM_WORDS.split())
RELATIONS = frozenset(_RELATIONS.split())
VAGUE = frozenset(_VAGUE.split())
GLUE = frozenset(_PREPOSITIONS_AND_ARTICLES.split())
NUMBERS = {word: str(value) for value, word in enumerate(_NUMBERS.split())}
FOREIGN_WORDS = {language: frozenset(listed.split()) - FUNCTION_WORDS for language, listed in _FOREIGN.items()}
