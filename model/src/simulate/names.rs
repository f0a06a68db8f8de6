//! The names of the customers.

pub(super) const FIRST_NAMES: [&str; 24] = [
    "Ada", "Anton", "Clara", "David", "Elena", "Emil", "Fatima", "Felix", "Greta", "Hanna", "Ivan", "Jonas",
    "Karim", "Lena", "Marta", "Mateo", "Nora", "Oskar", "Paula", "Rosa", "Samuel", "Theo", "Vera", "Yusuf",
];

pub(super) const LAST_NAMES: [&str; 24] = [
    "Adler", "Bauer", "Conti", "Dubois", "Eriksen", "Fischer", "Garcia", "Horvat", "Ivanova", "Jansen",
    "Keller", "Lind", "Moreau", "Novak", "Olsen", "Peeters", "Quint", "Rossi", "Silva", "Toth", "Ulrich",
    "Vogel", "Weber", "Yilmaz",
];
