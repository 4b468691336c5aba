"""The closed vocabulary of the sample world, in two languages, and Korean particles."""

import re
from random import Random

LANGS = ("en", "ko")

NAMES: dict[str, tuple[str, ...]] = {
    "en": tuple(
        "Anna Ben Clara Dan Ella Felix Grace Hugo Ivan Julia Kate Leo Mina Nora Omar Paul Rosa Sam Tina Victor".split()
    ),
    "ko": tuple(
        "미나 준호 서연 지우 민수 하늘 유나 도윤 수진 현우 은지 태호 보라 세진 나래 정민 소라 재훈 다은 동욱".split()
    ),
}
CITIES: dict[str, tuple[str, ...]] = {
    "en": tuple(
        "Paris London Rome Berlin Madrid Oslo Cairo Delhi Tokyo Seoul Busan Lima Boston Dublin Athens Vienna".split()
    ),
    "ko": tuple("서울 부산 대구 인천 광주 대전 울산 제주 파리 런던 로마 도쿄 강릉 전주 춘천 하노이".split()),
}
ITEMS: dict[str, tuple[str, ...]] = {
    "en": tuple(
        "apples books lamps chairs cups pens boxes hats shoes bags clocks plates bottles candles keys "
        "maps ropes toys stamps spoons".split()
    ),
    "ko": tuple(
        "사과 공책 램프 의자 컵 연필 상자 모자 구두 가방 시계 접시 병 양초 열쇠 지도 밧줄 인형 우표 숟가락".split()
    ),
}
DAYS: dict[str, tuple[str, ...]] = {
    "en": tuple("Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()),
    "ko": tuple("월요일 화요일 수요일 목요일 금요일 토요일 일요일".split()),
}
JOBS: dict[str, tuple[str, ...]] = {
    "en": tuple("cook nurse pilot farmer teacher singer baker driver writer doctor painter judge".split()),
    "ko": tuple("요리사 간호사 조종사 농부 교사 가수 제빵사 운전사 작가 의사 화가 판사".split()),
}
DRINKS: dict[str, tuple[str, ...]] = {
    "en": tuple("tea coffee milk juice water cocoa lemonade soda".split()),
    "ko": tuple("홍차 커피 우유 주스 생수 코코아 식혜 사이다".split()),
}
PETS: dict[str, tuple[str, ...]] = {
    "en": tuple("cat dog rabbit parrot turtle hamster horse goat".split()),
    "ko": tuple("고양이 강아지 토끼 앵무새 거북이 햄스터 말 염소".split()),
}
HOBBIES: dict[str, tuple[str, ...]] = {
    "en": tuple("chess tennis music fishing hiking dancing cooking reading football cycling".split()),
    "ko": tuple("체스 테니스 음악 낚시 등산 춤 요리 독서 축구 수영".split()),
}

PARTICLES = re.compile(r"(.)(은\(는\)|이\(가\)|을\(를\)|과\(와\)|으로\(로\)|이에요\(예요\))")
DIGIT_FINALS = {"0": 1, "1": 8, "2": 0, "3": 1, "4": 0, "5": 0, "6": 1, "7": 8, "8": 8, "9": 0}
RIEUL = 8
HANGUL_FIRST, HANGUL_LAST = 0xAC00, 0xD7A3


def final_of(character: str) -> int:
    """The number of the final consonant as the character is read aloud: 0 for none, 8 for rieul."""
    if character in DIGIT_FINALS:
        return DIGIT_FINALS[character]
    code = ord(character)
    return (code - HANGUL_FIRST) % 28 if HANGUL_FIRST <= code <= HANGUL_LAST else 0


def with_particles(text: str) -> str:
    """Resolve marks such as `은(는)` by the sound before them: `미나은(는)` becomes `미나는`."""

    def choose(match: re.Match[str]) -> str:
        before, mark = match.groups()
        closed, opened = mark[:-1].split("(")
        final = final_of(before)
        soft = final == 0 or (closed == "으로" and final == RIEUL)
        return before + (opened if soft else closed)

    return PARTICLES.sub(choose, text)


def say(template: str, **slots: object) -> str:
    """Fill a template and resolve its Korean particles."""
    return with_particles(template.format(**slots))


def others(rng: Random, pool: tuple[str, ...], value: str, count: int) -> list[str]:
    """`count` different members of the pool, none of them `value`."""
    return rng.sample([word for word in pool if word != value], count)
