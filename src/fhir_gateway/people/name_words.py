"""The words around and inside Indonesian names: titles, degrees, abbreviations, and words that tell little.

Collected from how clinics write names; a word is compared in lower case and without dots.
"""

from collections.abc import Mapping


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


TITLES = _words(
    "h hj hjh haji hajah hajjah kh kyai kiai nyai drs dra dr drg drh ir prof r ra rr rd raden rmt tn ny nn an sdr sdri sdra"
    " bpk bapak bp ibu ust ustd ustad ustadz ustadzah alm almh almarhum almarhumah pdt kolonel letkol mayor kapten serka"
    " bripka brigadir bidan bd ns apt mr mrs ms miss tuan nyonya nona anak saudara saudari adik dik dek kak kakak"
)
"""Stand before a name; `h`, `r` and `an` are titles only where something telling follows."""

DOTTED_TITLES = _words("an r h ms mr bd ra rd bp ns anak saudara tuan nona")
"""Titles that are also names or parts of names: taken off only with a dot, or (single letters) before a longer word."""

DEGREES = _words(
    "spd spdi spdsd skom skm sked sh shi shut se sei sy sag sos ssos ssi sip sikom sst ssttr skep sfarm sgz stp str sthi sth stkeb"
    " strkeb strkes strgz spsi spt sp spa spog spot spb spjp spkk spm mpd mpdi mkes mkep mkom msi mm mh mt ma mag msc msn"
    " mba mph mars mepid mfarm mhum mkeb amd amdkeb amdkep amk amkeb amg amak ama apt ners ns ba bsc bba phd lc st drph sn ssn ked"
)
"""Stand behind a name; the short ones count only behind a comma, with dots, or in capitals behind a name that is not."""

CERTAIN_DEGREES = _words(
    "spd spdi spdsd skom skm sked shut ssos ssi skep sfarm sgz sthi strkeb strkes spsi spog mpd mpdi mkes mkep mkom msc mba"
    " mph mfarm mhum amd amdkeb amdkep amk amkeb phd ners sst sh mh"
)
"""Degrees that cannot be a name even without comma or dot."""

ABBREVIATIONS: Mapping[str, str] = {
    **dict.fromkeys(
        [
            "muh",
            "moh",
            "moch",
            "mohd",
            "mhd",
            "muhd",
            "mochd",
            "mohmd",
            "mhmd",
            "mohamad",
            "mohammad",
            "mochamad",
            "mochammad",
            "muhamad",
            "muhammad",
            "mukhamad",
            "mukhammad",
            "muchamad",
            "muchammad",
            "mohamed",
            "mohammed",
            "muhammed",
            "muhamed",
            "mokhamad",
            "mokhammad",
            "muhamat",
            "muhammat",
            "mohamat",
            "muammad",
            "muhamm",
            "moeh",
            "moehamad",
            "moehammad",
            "moechamad",
        ],
        "muhamad",
    ),
    **dict.fromkeys(_words("fr frs frans fransiskus franciscus fransiscus fransisko"), "fransiskus"),
    **dict.fromkeys(_words("ll lalu"), "lalu"),
    **dict.fromkeys(_words("abd abdl abdu abdoel abdul"), "abdul"),
    **dict.fromkeys(_words("achmad akhmad ahmad ahmat achmat akhmat ahmed achmed ach akh ahm ahmd"), "ahmad"),
    **dict.fromkeys(_words("st sitti siti sity sti"), "siti"),
    **dict.fromkeys(_words("noor noer nor nur"), "nur"),
    **dict.fromkeys(_words("bq baiq"), "baiq"),
    **dict.fromkeys(_words("ngr ngurah"), "ngurah"),
    **dict.fromkeys(_words("nym nmn nyoman"), "nyoman"),
    **dict.fromkeys(_words("kmg komang"), "komang"),
    **dict.fromkeys(_words("wy wyn wayan"), "wayan"),
    **dict.fromkeys(_words("kd kdk kadek"), "kadek"),
    **dict.fromkeys(_words("gst gusti"), "gusti"),
    **dict.fromkeys(_words("lh luh"), "luh"),
    **dict.fromkeys(_words("kt ktt ketut"), "ketut"),
    **dict.fromkeys(_words("gd gde gede"), "gede"),
    **dict.fromkeys(_words("dw dwa dewa"), "dewa"),
    "ign": "ignatius",
    "fx": "fransiskus",
    "ant": "antonius",
    "ph": "pilipus",
    "yoh": "yohanes",
    "chandra": "candra",
    "richard": "ricard",
    "michael": "mikael",
}
"""Abbreviation or variant → the form that is compared."""

ABDUL_WITH = ("abdul", "abdur", "abdus", "abdun", "abdut", "abdud", "abduz", "abdush", "abdusy")
"""Beginnings that join `abdul` to the next word, its last letter assimilated."""

WEAK_WORDS = _words(
    "muhamad ahmad abdul siti nur sri dewi putri putra i ni ida bagus anak agung wayan made nyoman ketut gede luh komang kadek"
    " putu nenga gusti ngura lalu baik raden andi nyi ayu al el as ar bin binti binte m a"
)
"""Words (in their compared form) that so many people carry that they alone tell nobody apart."""

BALINESE_WORDS = _words("wayan putu gede luh made kadek nenga nyoman komang ketut gusti ngura ayu")
"""What follows the Balinese marks of sex and rank (I, Ni, Anak Agung), in its compared form."""

DECEASED_WORDS = _words("alm almh almarhum almarhumah")
"""Say of a name that its bearer has died; behind it as well as before it."""

NO_NAMES = frozenset(
    {
        *(
            "tidak ada",
            "tdk ada",
            "tidak ada nama",
            "tdk ada nama",
            "tanpa nama",
            "belum ada",
            "blm ada",
            "no name",
            "noname",
        ),
        *("belum ada nama", "blm ada nama", "belum bernama", "belum diberi nama", "belum punya nama", "tidak bernama"),
        *("tidak diketahui", "tdk diketahui", "tidak dikenal", "tak dikenal", "unknown", "anonim", "kosong", "nihil"),
        *("meninggal", "sudah meninggal"),
        *DECEASED_WORDS,
    }
)
"""What clinics write where there is no name: two of them are nobody's in common."""

SEX_WORDS = _words("l p lk pr laki laki-laki perempuan")
"""Stand behind "Bayi" where it has no other name."""

FATHER_WORDS = _words("bin binti bint binte bti bt")
"""Stand between a person's name and the father's."""

NEWBORN_WORDS = _words("by bayi byi baby bby")
"""Begin a newborn's temporary name."""

MOTHER_WORDS = _words("ny nyonya ibu nyony nny")
"""Stand before the mother's name in a newborn's temporary name."""

FATHER_TITLES = _words("tn tuan bpk bapak bp pak")
"""Stand before the father's name in a child's temporary name: "An. Tn. X"."""

MOTHER_OF = _words("inaq inak amaq amak mak mamak omak nai")
"""Neighbours call parents after a child: among Sasak "Inaq X" is the mother of X, "Amaq X" the father; in Sumatra "Mak X", "Nai X"."""

ROMAN_ORDER: Mapping[str, int] = {
    "i": 1,
    "ii": 2,
    "iii": 3,
    "iv": 4,
    "a": 1,
    "b": 2,
    "c": 3,
    "1": 1,
    "2": 2,
    "3": 3,
    "4": 4,
    "pertama": 1,
    "kedua": 2,
    "ketiga": 3,
}
"""How clinics number the children of one birth."""
