//! The volumes of containers as texts: paths of the machine become absolute. Leaves out what their options mean.

use std::path::Path;

use super::script::clean;

/// A volume, `SOURCE:TARGET[:OPTIONS]`, whose source is absolute where it is a path: `./x` begins at the directory, `~/x`
/// at the home of who reads the manifest.
pub(super) fn absolute(text: &str, directory: &Path, home: Option<&String>) -> Result<String, String> {
    let Some((source, rest)) = text.split_once(':').filter(|(source, _)| source.starts_with(['.', '/', '~'])) else {
        return Ok(text.to_owned());
    };
    let path = match source.strip_prefix('~') {
        None => directory.join(source),
        Some(below) if below.is_empty() || below.starts_with('/') => {
            let home = home.ok_or_else(|| format!("`{source}` begins at the home directory, and `HOME` is not set"))?;
            Path::new(home).join(below.trim_start_matches('/'))
        }
        Some(_) => return Err(format!("`{source}` begins at the home of another user, which is not looked for")),
    };
    Ok(format!("{}:{rest}", clean(&path).display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_become_absolute_and_names_stay() {
        let home = "/home/ada".to_owned();
        let check = |text: &str| absolute(text, Path::new("/srv/shop"), Some(&home)).unwrap_or_else(|fault| fault);
        assert_eq!(check("./data:/data:ro,Z"), "/srv/shop/data:/data:ro,Z");
        assert_eq!(check("../x/./y:/y"), "/srv/x/y:/y");
        assert_eq!(check(".:/app"), "/srv/shop:/app");
        assert_eq!(check("~/x:/x"), "/home/ada/x:/x");
        assert_eq!(check("~:/x"), "/home/ada:/x");
        assert_eq!(check("data:/data"), "data:/data");
        assert_eq!(check("/scratch"), "/scratch");
        assert_eq!(check("~eve/x:/x"), "`~eve/x` begins at the home of another user, which is not looked for");
        assert!(absolute("~/x:/x", Path::new("/"), None).is_err());
    }
}
