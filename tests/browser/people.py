"""Invented people of one region, some of them several times."""

from tests.fakes.duplicated_people import NIK, OTHER_NIK, dose, family, patient

ENVIRONMENT = "purbalingga"
LONG_NAME = "Raden Ajeng Kusumaningtyas Hadiningrat Puspitasari Wulandari Sastroamidjojo binti Suryadiningrat"
LONG_NIK = "3303015203200003"
FRESH_NIK = "3303021107190010"
OTHER_FRESH_NIK = "3303025507190011"
NEWCOMERS = {"desk": "Gilang Prakoso", "phone": "Hana Suryadi"}
UNDONE_NIK = "3303024504180004"
DOUBTFUL = "3303030903170008"
NAMESAKES_NIK = "3303031203160013"
MERGED = (NIK, LONG_NIK, UNDONE_NIK)
UNMERGED = (FRESH_NIK, OTHER_FRESH_NIK, OTHER_NIK, NAMESAKES_NIK)
NAMES = ("Rizki", "Kusumaningtyas", "Bayu", "Citra", "Gilang", "Wahyu", "Hana", "Teguh")
"""What must not stand in any address."""


def people():
    """Return everything that stands on the region's server."""
    long = {"name": [{"text": LONG_NAME}], "gender": "female", "birthDate": "2020-03-12"}
    fresh = {"name": [{"text": NEWCOMERS["desk"]}], "gender": "male", "birthDate": "2019-07-11"}
    other = {"name": [{"text": NEWCOMERS["phone"]}], "gender": "female", "birthDate": "2019-07-15"}
    undone = {"name": [{"text": "Citra <b>Lestari</b>"}], "gender": "female", "birthDate": "2018-04-05"}
    return [
        *family(),
        patient(21, nik=LONG_NIK, address=[{"text": "Jl. Letnan Kolonel Isdiman No. 12"}], **long),
        patient(22, nik=LONG_NIK, **long),
        dose(3, "p22"),
        patient(31, nik=FRESH_NIK, **fresh),
        patient(32, nik=FRESH_NIK, **fresh),
        dose(4, "p32"),
        patient(33, nik=OTHER_FRESH_NIK, **other),
        patient(34, nik=OTHER_FRESH_NIK, **other),
        patient(41, nik=UNDONE_NIK, **undone),
        patient(42, nik=UNDONE_NIK, **undone),
        patient(51, nik=DOUBTFUL, name=[{"text": "Wahyu Nugroho"}], birthDate="2017-03-09"),
        patient(52, nik=DOUBTFUL, name=[{"text": "Endah Palupi"}], gender="female", birthDate="1991-11-30"),
        patient(61, nik=NAMESAKES_NIK, name=[{"text": "Teguh Raharjo"}], birthDate="2016-03-12"),
        patient(62, nik=NAMESAKES_NIK, name=[{"text": "Teguh Raharjo"}], birthDate="2016-03-12"),
    ]
