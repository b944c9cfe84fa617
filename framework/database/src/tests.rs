use crate::{Database, DatabaseError, Engine, Migrations, args, testing::TestDatabase};

const SCHEMA: Migrations = Migrations::new(
    "test",
    &[
        "CREATE TABLE thing (id INTEGER PRIMARY KEY, name TEXT, data BLOB, size BIGINT NOT NULL DEFAULT 0)",
    ],
);

async fn database(test: &TestDatabase) -> Database {
    let database = test.open().await.unwrap();
    database.migrate(&SCHEMA).await.unwrap();
    database
}

#[tokio::test]
async fn values_come_back_as_they_went() {
    let test = TestDatabase::new();
    let db = database(&test).await;
    let mut tx = db.begin().await.unwrap();
    let insert = "INSERT INTO thing (id, name, data) VALUES ($1, $2, $3)";
    tx.execute(insert, args![1, "one", vec![0_u8, 255]]).await.unwrap();
    tx.execute(insert, args![2, None::<String>, None::<Vec<u8>>]).await.unwrap();
    tx.commit().await.unwrap();

    let rows = db.fetch("SELECT id, name, data FROM thing ORDER BY id", args![]).await.unwrap();
    assert_eq!(rows[0].text(1).unwrap(), "one");
    assert_eq!(rows[0].blob(2).unwrap(), [0, 255]);
    assert_eq!(rows[1].opt_text(1).unwrap(), None);
    assert!(matches!(rows[1].text(1), Err(DatabaseError::Column { column: 1, .. })));
    let names = vec!["one".to_owned(), "it's \"two\"".to_owned()];
    let found = db.fetch("SELECT id FROM thing WHERE name = ANY($1)", args![names]).await.unwrap();
    assert_eq!(found.len(), 1);
}

#[tokio::test]
async fn texts_with_zero_bytes_are_no_rows_and_no_failures_of_the_engine() {
    let test = TestDatabase::new();
    let db = database(&test).await;
    let mut tx = db.begin().await.unwrap();
    tx.execute("INSERT INTO thing (id, name) VALUES ($1, $2)", args![1, "one"]).await.unwrap();
    tx.commit().await.unwrap();
    let (one, all) =
        ("SELECT id FROM thing WHERE name = $1", "SELECT id FROM thing WHERE name = ANY($1)");
    assert!(db.fetch(one, args!["one\0"]).await.unwrap().is_empty());
    assert!(db.fetch_optional(one, args!["\0"]).await.unwrap().is_none());
    let names = || vec!["o\0ne".to_owned(), "one".to_owned()];
    assert_eq!(db.fetch(all, args![names()]).await.unwrap().len(), 1);

    let mut tx = db.begin().await.unwrap();
    assert_eq!(tx.fetch(all, args![names()]).await.unwrap().len(), 1);
    let written = tx.execute("UPDATE thing SET name = $1", args!["\0"]).await;
    match db.engine() {
        Engine::Sqlite => assert_eq!(written.unwrap(), 1),
        Engine::Postgres => assert!(matches!(written, Err(DatabaseError::ZeroByte))),
    }
    // Whatever became of it, the transaction goes on.
    tx.execute("UPDATE thing SET name = $1", args!["two"]).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(db.fetch(one, args!["two"]).await.unwrap().len(), 1);
}

#[tokio::test]
async fn what_is_dropped_is_rolled_back() {
    let test = TestDatabase::new();
    let db = database(&test).await;
    let mut tx = db.begin().await.unwrap();
    tx.execute("INSERT INTO thing (id) VALUES ($1)", args![1]).await.unwrap();
    drop(tx);
    let tx = db.begin().await.unwrap();
    tx.commit().await.unwrap();
    assert!(db.fetch_optional("SELECT id FROM thing", args![]).await.unwrap().is_none());
}

#[tokio::test]
async fn statements_go_with_the_commit_or_not_at_all() {
    let test = TestDatabase::new();
    let db = database(&test).await;
    let insert =
        |id: i64| ("INSERT INTO thing (id) VALUES ($1) ON CONFLICT DO NOTHING".into(), args![id]);
    let touched = db.begin().await.unwrap().commit_after(vec![insert(1), insert(1), insert(2)]);
    assert_eq!(touched.await.unwrap(), [1, 0, 1]);
    assert!(db.begin().await.unwrap().commit_after(Vec::new()).await.unwrap().is_empty());

    let nameless = ("INSERT INTO thing (id) VALUES (NULL), ('no number')".into(), args![]);
    let failed = db.begin().await.unwrap().commit_after(vec![insert(3), nameless]);
    assert!(failed.await.is_err());
    let mut tx = db.begin().await.unwrap();
    tx.execute("INSERT INTO thing (id) VALUES (4)", args![]).await.unwrap();
    assert_eq!(tx.commit_after(vec![insert(5)]).await.unwrap(), [1]);
    let rows = db.fetch("SELECT id FROM thing ORDER BY id", args![]).await.unwrap();
    let ids: Vec<_> = rows.iter().map(|row| row.int(0).unwrap()).collect();
    assert_eq!(ids, [1, 2, 4, 5]);
}

#[tokio::test]
async fn a_commit_that_is_dropped_halfway_leaves_the_writer_usable() {
    let test = TestDatabase::new();
    let db = database(&test).await;
    for id in 0..20 {
        let mut tx = db.begin().await.unwrap();
        tx.execute("INSERT INTO thing (id) VALUES ($1)", args![id]).await.unwrap();
        // Begun, and then abandoned: it may have happened or not.
        let _ = tokio::time::timeout(std::time::Duration::ZERO, tx.commit()).await;
        db.begin().await.unwrap().rollback().await.unwrap();
    }
}

#[tokio::test]
async fn a_reading_that_is_dropped_halfway_leaves_the_readers_usable() {
    let test = TestDatabase::new();
    let db = database(&test).await;
    let one = "SELECT CAST(1 AS BIGINT)";
    for _ in 0..20 {
        let _ = tokio::time::timeout(std::time::Duration::ZERO, db.fetch(one, args![])).await;
    }
    let all = (0..20).map(|_| db.fetch_optional(one, args![]));
    for row in futures::future::try_join_all(all).await.unwrap() {
        assert_eq!(row.unwrap().int(0).unwrap(), 1);
    }
}

#[tokio::test]
async fn a_closed_database_says_so() {
    let test = TestDatabase::new();
    let db = database(&test).await;
    db.fetch("SELECT CAST(1 AS BIGINT)", args![]).await.unwrap();
    db.close().await;
    assert!(db.fetch("SELECT CAST(1 AS BIGINT)", args![]).await.is_err());
}

#[tokio::test]
async fn numbers_are_read_as_texts_where_they_stand_in_a_text_column() {
    let test = TestDatabase::new();
    let db = database(&test).await;
    let mut tx = db.begin().await.unwrap();
    let insert = "INSERT INTO thing (name, size, id) VALUES ($2, $1, $3)";
    tx.execute(insert, args![5, "12", 1]).await.unwrap();
    tx.commit().await.unwrap();
    let row = db.fetch_optional("SELECT name, size FROM thing", args![]).await.unwrap().unwrap();
    assert_eq!((row.text(0).unwrap().as_str(), row.int(1).unwrap()), ("12", 5));
    assert!(row.int(7).is_err());
}

#[tokio::test]
async fn what_is_put_off_runs_in_order_before_what_is_waited_for() {
    let test = TestDatabase::new();
    let db = database(&test).await;
    let mut tx = db.begin().await.unwrap();
    for id in 0..40 {
        tx.later("INSERT INTO thing (id, size) VALUES ($1, $2)", args![id, 1]).await.unwrap();
        tx.later("UPDATE thing SET size = size + $2 WHERE id = $1", args![id, id]).await.unwrap();
    }
    let sum = tx
        .fetch_optional("SELECT CAST(SUM(size) AS BIGINT) FROM thing", args![])
        .await
        .unwrap()
        .unwrap();
    assert_eq!(sum.int(0).unwrap(), 820);
    let ids: Vec<i64> = (0..39).collect();
    tx.later("DELETE FROM thing WHERE id = ANY($1)", args![ids]).await.unwrap();
    assert_eq!(tx.execute("DELETE FROM thing", args![]).await.unwrap(), 1);
    tx.later("INSERT INTO thing (id) VALUES ($1)", args![7]).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(db.fetch("SELECT id FROM thing", args![]).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_transaction_takes_nothing_more_once_a_statement_failed() {
    let test = TestDatabase::new();
    let db = database(&test).await;
    let insert = "INSERT INTO thing (id) VALUES ($1)";
    let mut tx = db.begin().await.unwrap();
    tx.execute(insert, args![1]).await.unwrap();
    assert!(tx.execute(insert, args![1]).await.unwrap_err().is_unique_violation());
    assert!(tx.execute(insert, args![2]).await.is_err());
    drop(tx);
    let mut tx = db.begin().await.unwrap();
    tx.execute(insert, args![2]).await.unwrap();
    tx.commit().await.unwrap();
    let rows = db.fetch("SELECT id FROM thing", args![]).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.int(0).unwrap()).collect::<Vec<_>>(), [2]);
}

#[tokio::test]
async fn what_was_put_off_and_fails_fails_what_comes_next() {
    let test = TestDatabase::new();
    let db = database(&test).await;
    let insert = "INSERT INTO thing (id) VALUES ($1)";
    for _ in 0..2 {
        let mut tx = db.begin().await.unwrap();
        let mut result = Ok(());
        for id in [1, 2, 1] {
            result = match result {
                Ok(()) => tx.later(insert, args![id]).await,
                failed => failed,
            };
        }
        let result = match result {
            Ok(()) => tx.commit().await,
            failed => failed,
        };
        assert!(result.unwrap_err().is_unique_violation());
    }
    db.begin().await.unwrap().commit().await.unwrap();
    assert!(db.fetch_optional("SELECT id FROM thing", args![]).await.unwrap().is_none());
}

#[tokio::test]
async fn a_repeated_key_is_told_from_other_errors() {
    let test = TestDatabase::new();
    let db = database(&test).await;
    let mut tx = db.begin().await.unwrap();
    tx.execute("INSERT INTO thing (id) VALUES ($1)", args![1]).await.unwrap();
    let again = tx.execute("INSERT INTO thing (id) VALUES ($1)", args![1]).await.unwrap_err();
    assert!(again.is_unique_violation());
    let other = tx.execute("INSERT INTO nothing (id) VALUES ($1)", args![1]).await.unwrap_err();
    assert!(!other.is_unique_violation());
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let test = TestDatabase::new();
    let db = database(&test).await;
    db.migrate(&SCHEMA).await.unwrap();
    let older = db.migrate(&Migrations::new("test", &[])).await;
    assert!(matches!(older, Err(DatabaseError::NewerSchema { found: 1, known: 0, .. })));
}

#[tokio::test]
async fn a_second_process_is_kept_out_of_a_file() {
    let test = TestDatabase::new();
    let db = database(&test).await;
    if db.engine() == Engine::Sqlite {
        assert!(matches!(test.open().await, Err(DatabaseError::InUse(_))));
    }
    db.close().await;
    drop(db);
    test.open().await.unwrap();
}

#[tokio::test]
async fn a_backup_holds_what_was_committed() {
    let test = TestDatabase::new();
    let db = database(&test).await;
    let mut tx = db.begin().await.unwrap();
    tx.execute("INSERT INTO thing (id) VALUES ($1)", args![7]).await.unwrap();
    tx.commit().await.unwrap();
    let copy = test.folder().join("copy");
    db.backup(&copy).await.unwrap();

    let url = match db.engine() {
        Engine::Sqlite => format!("sqlite:{}", test.folder().join("restored.db").display()),
        Engine::Postgres => {
            let schema = test.options().schema.as_deref().unwrap();
            let mut tx = db.begin().await.unwrap();
            let drop: &'static str = format!("DROP SCHEMA {schema} CASCADE").leak();
            tx.execute(drop, args![]).await.unwrap();
            tx.commit().await.unwrap();
            test.url().to_owned()
        }
    };
    Database::restore(&url, &copy).await.unwrap();
    let restored = Database::open(&url, test.options()).await.unwrap();
    let row = restored.fetch_optional("SELECT id FROM thing", args![]).await.unwrap().unwrap();
    assert_eq!(row.int(0).unwrap(), 7);
    assert!(Database::restore(&url, &copy).await.is_err(), "never over something that is there");
}
