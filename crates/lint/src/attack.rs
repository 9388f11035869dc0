//! Ids of MITRE ATT&CK for enterprises, version 17.0 (<https://attack.mitre.org>).

/// A word for the tactics and techniques that rules name by their ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Id {
    /// The id exists, or may: it is newer than the table, or of the matrices for mobile devices and
    /// industrial control systems.
    Plausible,
    /// There was such a technique. Most were replaced by sub-techniques in 2020.
    Retired,
    /// There is and was none.
    Unknown,
}

/// Tactics, as tags name them.
pub(crate) const TACTICS: [&str; 14] = [
    "reconnaissance",
    "resource_development",
    "initial_access",
    "execution",
    "persistence",
    "privilege_escalation",
    "defense_evasion",
    "credential_access",
    "discovery",
    "lateral_movement",
    "collection",
    "command_and_control",
    "exfiltration",
    "impact",
];

/// Numbers of the tactics of enterprises: `TA0001`.
const TACTIC_IDS: [u16; 14] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 40, 42, 43];

/// Tactics of mobile devices and of industrial control systems, and those that are newer.
const OTHER_TACTICS: [std::ops::RangeInclusive<u16>; 3] = [27..=39, 41..=41, 100..=199];

/// Numbers of the techniques, each with the highest number of its sub-techniques.
#[rustfmt::skip]
const TECHNIQUES: [(u16, u16); 211] = [
    (1001, 3), (1003, 8), (1005, 0), (1006, 0), (1007, 0), (1008, 0), (1010, 0), (1011, 1),
    (1012, 0), (1014, 0), (1016, 2), (1018, 0), (1020, 1), (1021, 8), (1025, 0), (1027, 17),
    (1029, 0), (1030, 0), (1033, 0), (1036, 11), (1037, 5), (1039, 0), (1040, 0), (1041, 0),
    (1046, 0), (1047, 0), (1048, 3), (1049, 0), (1052, 1), (1053, 7), (1055, 15), (1056, 4),
    (1057, 0), (1059, 12), (1068, 0), (1069, 3), (1070, 9), (1071, 4), (1072, 0), (1074, 2),
    (1078, 4), (1080, 0), (1082, 0), (1083, 0), (1087, 4), (1090, 4), (1091, 0), (1092, 0),
    (1095, 0), (1098, 6), (1102, 3), (1104, 0), (1105, 0), (1106, 0), (1110, 4), (1111, 0),
    (1112, 0), (1113, 0), (1114, 3), (1115, 0), (1119, 0), (1120, 0), (1123, 0), (1124, 0),
    (1125, 0), (1127, 3), (1129, 0), (1132, 2), (1133, 0), (1134, 5), (1135, 0), (1136, 3),
    (1137, 6), (1140, 0), (1176, 2), (1185, 0), (1187, 0), (1189, 0), (1190, 0), (1195, 3),
    (1197, 0), (1199, 0), (1200, 0), (1201, 0), (1202, 0), (1203, 0), (1204, 4), (1205, 2),
    (1207, 0), (1210, 0), (1211, 0), (1212, 0), (1213, 3), (1216, 2), (1217, 0), (1218, 15),
    (1219, 3), (1220, 0), (1221, 0), (1222, 2), (1480, 1), (1482, 0), (1484, 2), (1485, 0),
    (1486, 0), (1489, 0), (1490, 0), (1491, 2), (1495, 0), (1496, 0), (1497, 3), (1498, 2),
    (1499, 4), (1505, 6), (1518, 1), (1525, 0), (1526, 0), (1528, 0), (1529, 0), (1530, 0),
    (1531, 0), (1534, 0), (1535, 0), (1537, 0), (1538, 0), (1539, 0), (1542, 5), (1543, 5),
    (1546, 16), (1547, 15), (1548, 6), (1550, 4), (1552, 8), (1553, 6), (1554, 0), (1555, 6),
    (1556, 9), (1557, 3), (1558, 4), (1559, 3), (1560, 3), (1561, 2), (1562, 12), (1563, 2),
    (1564, 14), (1565, 3), (1566, 4), (1567, 4), (1568, 3), (1569, 3), (1570, 0), (1571, 0),
    (1572, 0), (1573, 2), (1574, 14), (1578, 5), (1580, 0), (1583, 8), (1584, 8), (1585, 3),
    (1586, 3), (1587, 4), (1588, 7), (1589, 3), (1590, 6), (1591, 4), (1592, 4), (1593, 3),
    (1594, 0), (1595, 3), (1596, 5), (1597, 2), (1598, 4), (1599, 1), (1600, 2), (1601, 2),
    (1602, 2), (1606, 2), (1608, 6), (1609, 0), (1610, 0), (1611, 0), (1612, 0), (1613, 0),
    (1614, 1), (1615, 0), (1619, 0), (1620, 0), (1621, 0), (1622, 0), (1647, 0), (1648, 0),
    (1649, 0), (1650, 0), (1651, 0), (1652, 0), (1653, 0), (1654, 0), (1656, 0), (1657, 0),
    (1659, 0), (1665, 0), (1666, 0), (1667, 0), (1668, 0), (1669, 0), (1671, 0), (1672, 0),
    (1673, 0), (1674, 0), (1675, 0),
];

/// Sub-techniques that were retired, below the highest number.
#[rustfmt::skip]
const RETIRED_PARTS: [(u16, u16); 10] = [
    (1053, 1), (1053, 4), (1055, 6), (1055, 7), (1055, 10), (1218, 6), (1547, 11), (1562, 5),
    (1574, 2), (1574, 3),
];

/// From here on, ids are also those of the matrix for mobile devices and of newer versions.
const SHARED_FROM: u16 = 1398;

/// Techniques of industrial control systems.
const INDUSTRIAL: std::ops::RangeInclusive<u16> = 800..=899;

/// No id is as large as this for a while.
const END: u16 = 2000;

/// New sub-techniques that a technique may have got since.
const NEWER_PARTS: u16 = 5;

/// What is known of an id: `TA0002`, `T1059` or `T1059.004`.
pub(crate) fn id(text: &str) -> Id {
    let number = |text: &str, len: usize| {
        let digits = text.len() == len && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<u16>().ok().filter(|_| digits)
    };
    let known = |is_known: bool| if is_known { Id::Plausible } else { Id::Unknown };
    if let Some(tactic) = text.strip_prefix("TA") {
        return known(number(tactic, 4).is_some_and(|tactic| {
            TACTIC_IDS.contains(&tactic) || OTHER_TACTICS.iter().any(|it| it.contains(&tactic))
        }));
    }
    let technique = text.strip_prefix('T').unwrap_or_default();
    let (technique, part) = match technique.split_once('.') {
        Some((technique, part)) => (technique, number(part, 3).unwrap_or(0)),
        None => (technique, 1),
    };
    let Some(technique) = number(technique, 4).filter(|_| part > 0) else { return Id::Unknown };
    match TECHNIQUES.binary_search_by_key(&technique, |it| it.0) {
        _ if !text.contains('.') && INDUSTRIAL.contains(&technique) => Id::Plausible,
        Ok(_) if !text.contains('.') => Id::Plausible,
        Ok(_) if RETIRED_PARTS.contains(&(technique, part)) => Id::Retired,
        Ok(at) => {
            let parts = TECHNIQUES.get(at).map_or(0, |it| it.1);
            known(part <= parts + NEWER_PARTS)
        }
        Err(_) if (1001..SHARED_FROM).contains(&technique) && !text.contains('.') => Id::Retired,
        Err(_) => known((SHARED_FROM..END).contains(&technique)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_looked_up() {
        assert!(TECHNIQUES.is_sorted_by(|a, b| a.0 < b.0));
        for plausible in
            ["T1059", "T1059.004", "T1059.013", "T1681", "T0866", "T1474.001", "TA0002", "TA0105"]
        {
            assert_eq!(id(plausible), Id::Plausible, "{plausible}");
        }
        for retired in ["T1086", "T1168", "T1053.001"] {
            assert_eq!(id(retired), Id::Retired, "{retired}");
        }
        for unknown in
            ["T1059.099", "T1059.4", "T1059.000", "T9999", "T105", "T", "TA0099", "T1086.001"]
        {
            assert_eq!(id(unknown), Id::Unknown, "{unknown}");
        }
    }
}
