"""What clinicians call the same thing: names, abbreviations and codes of frequent concepts.

A small table written for this, of what cohorts are usually asked for; no substitute for a terminology server. Names
are as in the LOINC and SNOMED CT display names of the codes, with the abbreviations in common clinical use.

Source of codes: LOINC 2.78 (loinc.org), SNOMED CT International 2024, ICD-10 (WHO, 2019), RxNorm and ATC where a drug
is meant.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from caduceus.market.search_words import words


@dataclass(frozen=True, slots=True)
class Concept:
    """One meaning.

    name   for people; the first of its names
    names  texts that mean it, abbreviations among them
    codes  SYSTEM:code
    """

    name: str
    names: tuple[str, ...]
    codes: tuple[str, ...]


def _concept(names: str, codes: str = "") -> Concept:
    said = tuple(one.strip() for one in names.split(";"))
    return Concept(said[0], said, tuple(codes.split()))


CONCEPTS: tuple[Concept, ...] = (
    # laboratory
    _concept(
        "glycated haemoglobin; HbA1c; hemoglobin A1c; A1c; glycohemoglobin; glycosylated haemoglobin",
        "LOINC:4548-4 LOINC:59261-8 LOINC:17856-6 SNOMED:43396009",
    ),
    _concept(
        "glucose; blood sugar; blood glucose; plasma glucose; glycemia", "LOINC:2345-7 LOINC:2339-0 LOINC:15074-8"
    ),
    _concept("fasting glucose; fasting blood sugar; FBS; FPG; fasting plasma glucose", "LOINC:1558-6 LOINC:76629-5"),
    _concept("haemoglobin; Hb; Hgb", "LOINC:718-7 SNOMED:104718002"),
    _concept("creatinine; serum creatinine; crea; SCr", "LOINC:2160-0 LOINC:14682-9"),
    _concept(
        "estimated glomerular filtration rate; eGFR; GFR; glomerular filtration rate",
        "LOINC:33914-3 LOINC:62238-1 LOINC:98979-8",
    ),
    _concept("total cholesterol; cholesterol; chol", "LOINC:2093-3 LOINC:14647-2"),
    _concept(
        "low density lipoprotein cholesterol; LDL; LDL-C; LDL cholesterol", "LOINC:13457-7 LOINC:18262-6 LOINC:2089-1"
    ),
    _concept("high density lipoprotein cholesterol; HDL; HDL-C; HDL cholesterol", "LOINC:2085-9 LOINC:14646-4"),
    _concept("triglycerides; triglyceride; TG", "LOINC:2571-8 LOINC:14927-8"),
    _concept("C-reactive protein; CRP; hsCRP; high sensitivity CRP", "LOINC:1988-5 LOINC:30522-7"),
    _concept(
        "troponin; cardiac troponin; hs-troponin; cTn; troponin I; troponin T",
        "LOINC:6598-7 LOINC:10839-9 LOINC:89579-7",
    ),
    _concept("brain natriuretic peptide; BNP; NT-proBNP; natriuretic peptide", "LOINC:30934-4 LOINC:33762-6"),
    _concept("sodium; Na; serum sodium; natremia", "LOINC:2951-2"),
    _concept("potassium; K; serum potassium; kalemia", "LOINC:2823-3"),
    _concept("white blood cell count; leukocytes; leukocyte count; WBC", "LOINC:6690-2 LOINC:26464-8"),
    _concept("platelets; platelet count; thrombocytes; PLT", "LOINC:777-3"),
    _concept("lactate; serum lactate; lactic acid", "LOINC:2524-7 LOINC:32693-4"),
    _concept("bilirubin; total bilirubin", "LOINC:1975-2"),
    _concept("alanine aminotransferase; ALT; ALAT; SGPT; GPT", "LOINC:1742-6"),
    _concept("aspartate aminotransferase; AST; ASAT; SGOT; GOT", "LOINC:1920-8"),
    _concept("albumin; serum albumin", "LOINC:1751-7"),
    _concept("international normalised ratio; INR; international normalized ratio", "LOINC:6301-6"),
    _concept("thyroid stimulating hormone; TSH; thyrotropin", "LOINC:3016-3"),
    _concept("prostate specific antigen; PSA", "LOINC:2857-1"),
    # vital signs and habits
    _concept("systolic blood pressure; SBP; sys BP; systolic; systolic BP", "LOINC:8480-6 SNOMED:271649006"),
    _concept("diastolic blood pressure; DBP; dia BP; diastolic; diastolic BP", "LOINC:8462-4 SNOMED:271650006"),
    _concept(
        "blood pressure; BP; arterial pressure; resting blood pressure; trestbps",
        "LOINC:85354-9 LOINC:55284-4 SNOMED:75367002",
    ),
    _concept("heart rate; HR; pulse; pulse rate; thalach", "LOINC:8867-4 SNOMED:364075005"),
    _concept("respiratory rate; RR; breathing rate", "LOINC:9279-1"),
    _concept("oxygen saturation; SpO2; SaO2; O2 sat", "LOINC:59408-5 LOINC:2708-6"),
    _concept("body temperature; temperature; temp", "LOINC:8310-5"),
    _concept("body mass index; BMI; Quetelet index", "LOINC:39156-5 SNOMED:60621009"),
    _concept("body weight; weight; wt", "LOINC:29463-7 SNOMED:27113001"),
    _concept("body height; height; stature; ht", "LOINC:8302-2 SNOMED:50373000"),
    _concept("waist circumference; waist", "LOINC:8280-0"),
    _concept("smoking; smoker; tobacco use; smoking status; tobacco smoking", "LOINC:72166-2 SNOMED:365981007"),
    _concept("alcohol use; alcohol; drinking; alcohol consumption", "LOINC:11331-6"),
    _concept("left ventricular ejection fraction; LVEF; ejection fraction; EF", "LOINC:10230-1 LOINC:8806-2"),
    _concept("chest pain; angina; cp; angina pectoris", "SNOMED:29857009 SNOMED:194828000 ICD10:I20"),
    # persons
    _concept("age; age at diagnosis; years of age; patient age", "LOINC:30525-0 LOINC:63900-5"),
    _concept("sex; gender; male; female", "LOINC:46098-0 LOINC:76689-9"),
    _concept("death; mortality; died; dead; deceased; fatal", "SNOMED:419099009 SNOMED:419620001"),
    _concept("survival; overall survival; follow-up; time to event"),
    _concept("readmission; rehospitalization; rehospitalisation", "SNOMED:417005"),
    _concept("length of stay; LOS; hospital stay", "LOINC:78033-8"),
    # conditions
    _concept(
        "diabetes mellitus; diabetes; DM; diabetic",
        "SNOMED:73211009 ICD10:E14 ICD10:E10 ICD10:E11 ICD10CM:E10 ICD10CM:E11",
    ),
    _concept(
        "type 2 diabetes mellitus; type 2 diabetes; T2DM; T2D; NIDDM; type II diabetes",
        "SNOMED:44054006 ICD10:E11 ICD10CM:E11",
    ),
    _concept("type 1 diabetes mellitus; type 1 diabetes; T1DM; T1D; IDDM", "SNOMED:46635009 ICD10:E10 ICD10CM:E10"),
    _concept(
        "myocardial infarction; MI; heart attack; AMI; acute myocardial infarction; STEMI; NSTEMI",
        "SNOMED:22298006 SNOMED:57054005 ICD10:I21 ICD10CM:I21",
    ),
    _concept(
        "coronary artery disease; CAD; coronary heart disease; CHD; ischemic heart disease; IHD",
        "SNOMED:53741008 SNOMED:414545008 ICD10:I25 ICD10CM:I25",
    ),
    _concept(
        "heart failure; HF; CHF; congestive heart failure; cardiac failure", "SNOMED:84114007 ICD10:I50 ICD10CM:I50"
    ),
    _concept("heart disease; cardiac disease; cardiopathy", "SNOMED:56265001 ICD10:I51"),
    _concept("atrial fibrillation; AF; AFib; auricular fibrillation", "SNOMED:49436004 ICD10:I48 ICD10CM:I48"),
    _concept("hypertension; HTN; high blood pressure; arterial hypertension", "SNOMED:38341003 ICD10:I10 ICD10CM:I10"),
    _concept(
        "stroke; CVA; cerebrovascular accident; apoplexy; cerebral infarction; brain infarction",
        "SNOMED:230690007 SNOMED:432504007 ICD10:I63 ICD10:I64 ICD10CM:I63",
    ),
    _concept("transient ischaemic attack; TIA; mini stroke", "SNOMED:266257000 ICD10:G45"),
    _concept(
        "chronic kidney disease; CKD; chronic renal failure; renal insufficiency; CRF",
        "SNOMED:709044004 ICD10:N18 ICD10CM:N18",
    ),
    _concept("acute kidney injury; AKI; acute renal failure; ARF", "SNOMED:14669001 ICD10:N17 ICD10CM:N17"),
    _concept(
        "chronic obstructive pulmonary disease; COPD; COLD; chronic bronchitis; emphysema",
        "SNOMED:13645005 ICD10:J44 ICD10CM:J44",
    ),
    _concept("asthma; bronchial asthma", "SNOMED:195967001 ICD10:J45 ICD10CM:J45"),
    _concept("pneumonia; lung infection", "SNOMED:233604007 ICD10:J18 ICD10CM:J18"),
    _concept("sepsis; septicaemia; septic shock; blood poisoning", "SNOMED:91302008 ICD10:A41 ICD10CM:A41"),
    _concept("COVID-19; covid; SARS-CoV-2; coronavirus", "SNOMED:840539006 ICD10:U07.1 ICD10CM:U07.1"),
    _concept("cancer; neoplasm; malignancy; tumour; tumor; carcinoma", "SNOMED:363346000 ICD10:C80"),
    _concept("breast cancer; breast carcinoma; mammary carcinoma; BC", "SNOMED:254837009 ICD10:C50 ICD10CM:C50"),
    _concept("lung cancer; bronchial carcinoma; NSCLC; SCLC", "SNOMED:254637007 ICD10:C34 ICD10CM:C34"),
    _concept("colorectal cancer; CRC; colon cancer; bowel cancer", "SNOMED:363406005 ICD10:C18 ICD10:C20"),
    _concept("prostate cancer; prostate carcinoma; PCa", "SNOMED:399068003 ICD10:C61 ICD10CM:C61"),
    _concept("obesity; adiposity; obese", "SNOMED:414916001 ICD10:E66 ICD10CM:E66"),
    _concept("depression; major depressive disorder; MDD; depressive episode", "SNOMED:35489007 ICD10:F32 ICD10CM:F32"),
    _concept("dementia; Alzheimer's disease; Alzheimer; AD", "SNOMED:52448006 ICD10:F03 ICD10:G30"),
    _concept("osteoporosis; bone loss", "SNOMED:64859006 ICD10:M81"),
    _concept("hyperlipidaemia; dyslipidaemia; hypercholesterolaemia; high cholesterol", "SNOMED:55822004 ICD10:E78"),
    _concept("anaemia; low haemoglobin", "SNOMED:271737000 ICD10:D64"),
    # treatment
    _concept("metformin", "RxNorm:6809 ATC:A10BA02"),
    _concept("insulin; insulins", "ATC:A10A RxNorm:253182"),
    _concept("statin; statins; HMG CoA reductase inhibitor", "ATC:C10AA"),
    _concept("aspirin; acetylsalicylic acid; ASA; ASS", "RxNorm:1191 ATC:B01AC06 ATC:N02BA01"),
    _concept("ACE inhibitor; angiotensin converting enzyme inhibitor; ACEI", "ATC:C09AA"),
    _concept("beta blocker; beta adrenergic blocker", "ATC:C07AB"),
    _concept("anticoagulant; anticoagulants; blood thinner; oral anticoagulant; OAC; DOAC; NOAC", "ATC:B01A"),
    _concept("heparin", "RxNorm:5224 ATC:B01AB01"),
    _concept("thrombolysis; rtPA; tPA; alteplase; fibrinolysis", "SNOMED:426533004 RxNorm:8410 ATC:B01AD02"),
    _concept("coronary artery bypass graft; CABG; bypass surgery", "SNOMED:232717009"),
    _concept("percutaneous coronary intervention; PCI; angioplasty; PTCA", "SNOMED:415070008"),
    _concept("computed tomography; CT; CT scan; CAT scan", "SNOMED:77477000"),
    _concept("magnetic resonance imaging; MRI; MR; NMR", "SNOMED:113091000"),
    _concept("electrocardiogram; ECG; EKG; electrocardiography; restecg", "SNOMED:29303009 LOINC:11524-6"),
)
"""Every concept, specific ones beside general ones."""


@dataclass(frozen=True, slots=True)
class Thesaurus:
    """The concepts, to be looked up by words and by codes."""

    by_words: Mapping[tuple[str, ...], tuple[int, ...]]
    by_code: Mapping[str, tuple[int, ...]]
    longest: int

    def in_words(self, said: list[str]) -> list[int]:
        """The concepts whose names stand in a list of stemmed words, the longest name at each place."""
        found: list[int] = []
        place = 0
        while place < len(said):
            for length in range(min(self.longest, len(said) - place), 0, -1):
                hit = self.by_words.get(tuple(said[place : place + length]))
                if hit is not None:
                    found += hit
                    place += length - 1
                    break
            place += 1
        return found

    def of_code(self, code: str) -> tuple[int, ...]:
        """The concepts that a code is of; ICD and ATC codes also as kinds of what their beginnings mean."""
        found = self.by_code.get(code.upper())
        if found is not None:
            return found
        system, _, rest = code.upper().partition(":")
        if system.startswith("ICD") or system == "ATC":
            for length in range(len(rest) - 1, 2, -1):
                found = self.by_code.get(f"{system}:{rest[:length]}")
                if found is not None:
                    return found
        return ()


def thesaurus(concepts: Iterable[Concept] = CONCEPTS) -> Thesaurus:
    """Look-up tables of concepts, numbered in their order."""
    by_words: dict[tuple[str, ...], tuple[int, ...]] = {}
    by_code: dict[str, tuple[int, ...]] = {}
    for number, concept in enumerate(concepts):
        for name in concept.names:
            for key in {tuple(words(name)), (("".join(words(name))),)}:
                by_words[key] = (
                    (*by_words.get(key, ()), number) if number not in by_words.get(key, ()) else by_words[key]
                )
        for code in concept.codes:
            by_code[code.upper()] = (*by_code.get(code.upper(), ()), number)
    return Thesaurus(by_words, by_code, max(map(len, by_words), default=0))
