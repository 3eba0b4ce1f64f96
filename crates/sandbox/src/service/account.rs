//! [`Account`]: as whom a program runs; names become numbers through the machine's own user database.

#![expect(unsafe_code, reason = "the user database is read by functions of the C library")]

use std::{ffi::CString, ptr};

use rustix::process::{Gid, Uid};

use crate::{Error, plan::c_string};

/// Room for one entry of the user database, at first.
const ENTRY: usize = 4 << 10;
/// Room for one entry at most: a group may have very many members.
const LARGEST_ENTRY: usize = 4 << 20;
/// Groups of one user, at most, as in the kernel.
const GROUPS: usize = 65_536;

/// A user of the machine, and its group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Name or number of the user.
    pub user: String,
    /// Name or number of the group; the user's own one when absent.
    pub group: Option<String>,
}

/// An account in numbers.
#[derive(Debug)]
pub(super) struct Identity {
    pub(super) user: Uid,
    pub(super) group: Gid,
    /// All groups that the user is a member of.
    pub(super) groups: Vec<Gid>,
}

impl Account {
    /// Looks it up. May read files and ask a directory service.
    pub(super) fn look_up(&self) -> Result<Identity, Error> {
        let missing = |kind, name: &str| Error::NoAccount { kind, name: name.to_owned() };
        let user = user(&self.user)?;
        let group = match (&self.group, &user) {
            (Some(name), _) => group(name)?.ok_or_else(|| missing("group", name))?,
            (None, User { group: Some(group), .. }) => *group,
            (None, _) => return Err(missing("user", &self.user)),
        };
        let groups = user.name.map_or_else(|| vec![group], |name| groups_of(&name, group));
        let from = |id| Gid::from_raw(id);
        Ok(Identity {
            user: Uid::from_raw(user.id.ok_or_else(|| missing("user", &self.user))?),
            group: from(group),
            groups: groups.into_iter().map(from).collect(),
        })
    }
}

/// What the database says of a user.
#[derive(Default)]
struct User {
    id: Option<u32>,
    group: Option<u32>,
    name: Option<CString>,
}

fn user(name: &str) -> Result<User, Error> {
    let text = c_string(name, "the user")?;
    let number = name.parse().ok();
    // SAFETY: an entry may be zero before it is filled in; the text and the buffer live through the call; the name
    // that the entry points to is copied while the buffer lives.
    let found = entry(|buffer| unsafe {
        let mut entry: libc::passwd = std::mem::zeroed();
        let mut result = ptr::null_mut();
        let (room, length) = (buffer.as_mut_ptr().cast(), buffer.len());
        let code = match number {
            Some(number) => libc::getpwuid_r(number, &raw mut entry, room, length, &raw mut result),
            None => libc::getpwnam_r(text.as_ptr(), &raw mut entry, room, length, &raw mut result),
        };
        let copy = || User {
            id: Some(entry.pw_uid),
            group: Some(entry.pw_gid),
            name: Some(std::ffi::CStr::from_ptr(entry.pw_name).to_owned()),
        };
        (code, (!result.is_null()).then(copy))
    });
    // A number needs no entry.
    Ok(found.unwrap_or(User { id: number, ..User::default() }))
}

fn group(name: &str) -> Result<Option<u32>, Error> {
    if let Ok(number) = name.parse() {
        return Ok(Some(number));
    }
    let text = c_string(name, "the group")?;
    // SAFETY: as for users.
    Ok(entry(|buffer| unsafe {
        let mut entry: libc::group = std::mem::zeroed();
        let mut result = ptr::null_mut();
        let (room, length) = (buffer.as_mut_ptr().cast(), buffer.len());
        let code = libc::getgrnam_r(text.as_ptr(), &raw mut entry, room, length, &raw mut result);
        (code, (!result.is_null()).then_some(entry.gr_gid))
    }))
}

/// Reads an entry with a buffer that grows until it fits.
fn entry<T>(mut read: impl FnMut(&mut [u8]) -> (i32, Option<T>)) -> Option<T> {
    let mut buffer = vec![0; ENTRY];
    loop {
        match read(&mut buffer) {
            (libc::ERANGE, _) if buffer.len() < LARGEST_ENTRY => buffer.resize(buffer.len() * 4, 0),
            (_, found) => return found,
        }
    }
}

fn groups_of(user: &CString, group: u32) -> Vec<u32> {
    let mut groups: Vec<u32> = vec![group; 64];
    loop {
        let mut count = i32::try_from(groups.len()).unwrap_or(i32::MAX);
        // SAFETY: the list has room for `count` numbers, and the name is a C string.
        let complete = unsafe { libc::getgrouplist(user.as_ptr(), group, groups.as_mut_ptr(), &raw mut count) };
        let count = usize::try_from(count).unwrap_or(0);
        if complete >= 0 || groups.len() >= GROUPS {
            groups.truncate(count);
            return groups;
        }
        groups.resize(count.clamp(groups.len() * 2, GROUPS), group);
    }
}

#[cfg(test)]
mod tests {
    use super::Account;

    fn look_up(user: &str, group: Option<&str>) -> Result<(u32, u32), String> {
        let account = Account { user: user.to_owned(), group: group.map(str::to_owned) };
        let found = account.look_up().map_err(|error| error.to_string())?;
        assert!(found.groups.contains(&found.group));
        Ok((found.user.as_raw(), found.group.as_raw()))
    }

    #[test]
    fn names_and_numbers_are_found_and_what_is_missing_is_named() {
        assert_eq!(look_up("root", None), Ok((0, 0)));
        assert_eq!(look_up("0", Some("0")), Ok((0, 0)));
        assert_eq!(look_up("54321", Some("54322")), Ok((54321, 54322)));
        assert_eq!(look_up("no-such-user", None), Err("this machine has no user `no-such-user`".to_owned()));
        assert_eq!(look_up("root", Some("nobodies")), Err("this machine has no group `nobodies`".to_owned()));
        assert_eq!(look_up("54321", None), Err("this machine has no user `54321`".to_owned()));
    }
}
